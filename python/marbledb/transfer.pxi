# What imports, exports and loads have in common: options out of keywords, and their errors.

_FORMATS = {None: 0, "parquet": 1, "arrow": 2, "arrows": 3, "csv": 4}


cdef char delimiter_of(object delimiter) except? 0:
    if delimiter is None:
        return 0
    if not isinstance(delimiter, str) or len(delimiter) != 1 or ord(delimiter) > 127:
        raise InvalidArgumentError(f"a delimiter is one ASCII character, not {delimiter!r}")
    return ord(delimiter)


cdef int fill_import(CImportOptions& options, format, ignore_unknown_columns, atomic, delimiter,
                     nulls) except -1:
    options.format = <FileFormat> <int> choice(_FORMATS, format, "format")
    options.ignore_unknown_columns = ignore_unknown_columns
    options.atomic = atomic
    options.csv_delimiter = delimiter_of(delimiter)
    options.csv_nulls.clear()
    for text in [nulls] if isinstance(nulls, str) else nulls:
        options.csv_nulls.push_back(utf8(text))
    return 0


cdef int check_called_back(const CStatus& status) except -1:
    """Raises what Python code raised that was called back, or the exception of the status."""
    if IsPythonError(status):
        return check_status(status)
    return check(status)


cdef int check_transfer(const CStatus& status, const CStatus& raised) except -1:
    """The same; code that a transfer called back may have raised into `raised`."""
    if not raised.ok():
        return check_status(raised)
    return check_called_back(status)


cdef object file_schema(Database database, path, format, delimiter, nulls):
    """The schema of a file, for a table that is made of it."""
    cdef CStatus status
    cdef CImportOptions options
    cdef shared_ptr[CSchema] c_schema
    cdef string c_path = os.fsencode(path)
    check_process(database.generation)
    fill_import(options, format, False, False, delimiter, nulls)
    with nogil:
        status = Take(ReadFileSchema(database.db, c_path, options), &c_schema)
    check(status)
    return pyarrow_wrap_schema(c_schema)
