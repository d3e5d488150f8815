# One object library per layer, in the order in which they may include each other
# (ARCHITECTURE.md, "Layers"). A layer's test needs only the layers to its left, so it builds alone.

set(MARBLE_LAYERS base io row log sst tree db kv table)

add_library(marble_settings INTERFACE)
target_include_directories(
  marble_settings INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                            $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/src>)
set(MARBLE_LIBRARIES Arrow::arrow Arrow::compute Arrow::acero Arrow::dataset Arrow::parquet
                     Threads::Threads)
target_link_libraries(marble_settings INTERFACE ${MARBLE_LIBRARIES})

add_library(marble_pch OBJECT cmake/pch.cc)
target_link_libraries(marble_pch PUBLIC marble_settings)
target_precompile_headers(marble_pch PRIVATE cmake/pch.h)

# Sources that need more than the least x86-64 has, called where the processor has it.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(
    src/base/checksum_avx2.cc src/row/range_kernel_avx2.cc
    PROPERTIES COMPILE_OPTIONS -mavx2 SKIP_PRECOMPILE_HEADERS ON
               SKIP_UNITY_BUILD_INCLUSION ON)
endif()

set(MARBLE_OBJECTS)
foreach(layer IN LISTS MARBLE_LAYERS)
  file(GLOB sources CONFIGURE_DEPENDS src/${layer}/*.cc)
  if(NOT sources)
    set(MARBLE_OBJECTS_${layer} ${MARBLE_OBJECTS})
    continue()
  endif()
  add_library(marble_${layer} OBJECT ${sources})
  target_link_libraries(marble_${layer} PUBLIC marble_settings)
  target_precompile_headers(marble_${layer} REUSE_FROM marble_pch)
  list(APPEND MARBLE_OBJECTS $<TARGET_OBJECTS:marble_${layer}>)
  set(MARBLE_OBJECTS_${layer} ${MARBLE_OBJECTS})
endforeach()

add_library(marble SHARED ${MARBLE_OBJECTS})
add_library(marble::marble ALIAS marble)
target_include_directories(marble PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                                         $<INSTALL_INTERFACE:include>)
target_link_libraries(marble PUBLIC ${MARBLE_LIBRARIES})
# Calls inside the library go straight to its own functions: nobody is to replace them.
target_link_options(marble PRIVATE -Wl,-Bsymbolic-functions)
set_target_properties(marble PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION 0)
