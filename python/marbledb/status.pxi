# Statuses to exceptions, bytes in and out, and the guard against use in a forked child.


cdef object exception_of(const CStatus& status):
    return make_exception(status, False)


cdef object make_exception(const CStatus& status, bint about_rows):
    # "<code>: <message>[. Detail: ...]": Arrow gives no name of a code in its pxd files.
    text = status.ToString().decode("utf-8", "replace")
    message = status.message().decode("utf-8", "replace")
    file = DetailFile(status).decode("utf-8", "surrogateescape")
    return _errors.make(KindNumber(status), text.partition(":")[0], message, file,
                        DetailOffset(status), about_rows)


cdef int check(const CStatus& status) except -1 nogil:
    """Raises the exception of a failed status."""
    if status.ok():
        return 0
    with gil:
        raise make_exception(status, False)


cdef int check_rows(const CStatus& status) except -1 nogil:
    """Like check, for calls whose only argument that can be invalid is rows or keys."""
    if status.ok():
        return 0
    with gil:
        raise make_exception(status, True)


SetExceptionMaker(exception_of)


cdef inline object own(object data):
    """`data` as bytes or str, whose memory stays where it is while the GIL is released."""
    if isinstance(data, (bytes, str)):
        return data
    if data is None or isinstance(data, (int, float)):
        raise TypeError(f"a bytes-like object or str is required, not {type(data).__name__}")
    return memoryview(data).tobytes()


cdef inline string_view view(object data) except *:
    """The memory of a bytes or str object; the caller keeps the object."""
    cdef Py_ssize_t size = 0
    cdef const char* text
    if isinstance(data, bytes):
        return string_view(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    text = PyUnicode_AsUTF8AndSize(data, &size)
    return string_view(text, size)


cdef inline object out(string_view data, bint is_text):
    """A new bytes or str object."""
    if is_text:
        return PyUnicode_DecodeUTF8(data.data(), data.size(), NULL)
    return PyBytes_FromStringAndSize(data.data(), data.size())


cdef inline object out_string(const string& data, bint is_text):
    return out(<string_view> data, is_text)


cdef inline string utf8(object text) except *:
    """A name as UTF-8."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a name is a str, not {type(text).__name__}")
    return (<str> text).encode("utf-8")


_LONGEST_TIMEOUT = 1e9  # seconds: thirty years, which a clock of nanoseconds can count


cdef inline double seconds(object timeout) except *:
    """A timeout for WriteOptions: None waits as long as it takes."""
    if timeout is None:
        return -1.0
    if not timeout >= 0:  # nor what is no number
        raise InvalidArgumentError(f"timeout must not be negative, but is {timeout}")
    return min(timeout, _LONGEST_TIMEOUT)


cdef int check_process(int generation) except -1:
    if generation != ForkGeneration():
        raise ClosedError("this object belongs to the parent process; open the database again in "
                          "the child, after the parent has closed it")
    return 0


# Databases that are open, so that they can be closed before the interpreter goes.
_open_databases = weakref.WeakSet()


def _close_all():
    """Closes every open database; registered with atexit, because objects that are still alive at
    interpreter exit are never deallocated, and background threads must not outlive it."""
    for database in list(_open_databases):
        try:
            database.close()
        except _errors.MarbleError as error:
            # The data are in the log; the next open replays them.
            import sys
            print(f"marbledb: closing {database.path} at exit: {error}", file=sys.stderr)


def _after_fork_in_child():
    """Gives up all handles without running their destructors."""
    AfterForkInChild()
    _open_databases.clear()
