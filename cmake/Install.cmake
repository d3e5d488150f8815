# `cmake --install` puts the headers, the library and a package config in place, so that another
# project can `find_package(marble)`. FindPyArrow.cmake goes along: Arrow comes from pyarrow.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The installed library finds Arrow where it was linked; a wheel has a path of its own for that.
if(NOT SKBUILD)
  set_target_properties(marble PROPERTIES INSTALL_RPATH "$<TARGET_FILE_DIR:Arrow::arrow>")
endif()
install(TARGETS marble EXPORT marbleTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/marble DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT marbleTargets NAMESPACE marble:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/marble)

configure_package_config_file(cmake/marbleConfig.cmake.in
                              ${CMAKE_CURRENT_BINARY_DIR}/marbleConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/marble)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/marbleConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/marbleConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/marbleConfigVersion.cmake
              cmake/FindPyArrow.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/marble)
