# Finds Arrow C++ inside the pyarrow wheel: headers and the versioned shared libraries.
#
# The wheel carries no namelinks (libarrow.so), so the versioned files are linked directly. Set
# MARBLE_PYTHON to the interpreter whose pyarrow is meant; the default is python3 on the PATH.
# Defines the targets Arrow::arrow, Arrow::compute, Arrow::acero, Arrow::dataset, Arrow::parquet
# and the variables PyArrow_FOUND, PyArrow_VERSION, PyArrow_LIBRARY_DIR.

if(NOT MARBLE_PYTHON)
  find_program(MARBLE_PYTHON python3 REQUIRED)
endif()

execute_process(
  COMMAND
    ${MARBLE_PYTHON} -c
    "import pyarrow as p, os
print(p.__version__, p.get_include(), os.path.dirname(p.__file__), sep='|')"
  OUTPUT_VARIABLE _pyarrow_facts
  OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET
  RESULT_VARIABLE _pyarrow_result)


if(_pyarrow_result EQUAL 0)
  string(REPLACE "|" ";" _pyarrow_facts "${_pyarrow_facts}")
  list(GET _pyarrow_facts 0 PyArrow_VERSION)
  list(GET _pyarrow_facts 1 _pyarrow_include)
  list(GET _pyarrow_facts 2 PyArrow_LIBRARY_DIR)
  string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" _pyarrow_minor "${PyArrow_VERSION}")
  math(EXPR _pyarrow_soversion "${CMAKE_MATCH_1} * 100 + ${CMAKE_MATCH_2}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  PyArrow
  REQUIRED_VARS PyArrow_LIBRARY_DIR _pyarrow_include
  VERSION_VAR PyArrow_VERSION
  REASON_FAILURE_MESSAGE "no pyarrow for ${MARBLE_PYTHON}: run tools/setup.sh or set MARBLE_PYTHON")

if(PyArrow_FOUND AND NOT TARGET Arrow::arrow)
  foreach(_name arrow compute acero dataset parquet)
    if(_name STREQUAL "arrow" OR _name STREQUAL "parquet")
      set(_file "lib${_name}.so.${_pyarrow_soversion}")
    else()
      set(_file "libarrow_${_name}.so.${_pyarrow_soversion}")
    endif()
    add_library(Arrow::${_name} SHARED IMPORTED)
    set_target_properties(
      Arrow::${_name}
      PROPERTIES IMPORTED_LOCATION "${PyArrow_LIBRARY_DIR}/${_file}"
                 INTERFACE_INCLUDE_DIRECTORIES "${_pyarrow_include}")
  endforeach()
endif()
