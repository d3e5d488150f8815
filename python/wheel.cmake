# Read right after project() in a wheel's build: Arrow comes from the pyarrow of the interpreter
# that builds, wherever python3 on the PATH may point.
if(NOT MARBLE_PYTHON)
  set(MARBLE_PYTHON ${Python_EXECUTABLE})
endif()
