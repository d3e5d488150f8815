# Verifying and repairing databases that nobody has open.


def verify(path, *, progress=None):
    """Checks every byte of the database in directory `path` and changes none.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        A directory that no process has open, this one included.
    progress : callable, optional
        Called with ``(bytes_done, bytes)`` before each log segment and SSTable; an exception ends
        the work and is raised.

    Returns
    -------
    dict
        `ok` (no damage), `damages`, `closed_properly`, `tables`, `files`, `bytes`, `rows`,
        `log_records`, and `findings`: a list of dicts with `kind`, `damage` (False: worth knowing
        only), `file`, `what` and, where known, `offset`, `table`, `first_key`, `last_key`, `rows`.

    Raises
    ------
    LockedError, InvalidArgumentError (no database), MarbleIOError
    """
    cdef CStatus status
    cdef CVerifyReport report
    cdef CVerifyOptions options
    cdef string c_path = os.fsencode(path)
    if progress is not None:
        options.progress = MakeVerifyProgress(<PyObject*> progress)
    with nogil:
        status = Take(VerifyDatabase(c_path, options), &report)
    check_called_back(status)
    return json.loads(report.ToJson().decode("utf-8"))


def repair(path, target, *, progress=None):
    """Saves what is intact of the database in `path` into a new one in `target`.

    Parameters
    ----------
    path : str, bytes or os.PathLike
        The damaged database. It is not changed; no process may have it open.
    target : str, bytes or os.PathLike
        A directory that is empty or not there.
    progress : callable, optional
        Called with ``(rows_done, rows)``, of the old database's files and log, before each table
        and about every 8 MiB; an exception ends the work, with an incomplete target, and is raised.

    Returns
    -------
    dict
        `lossless`, `manifest_was_whole`, `log_records`, `tables` (dicts with `name`, `rows`,
        `files`, `files_dropped`, `rows_lost`), `findings` as `verify` has them, and `notes`: what
        cannot be known of the result.

    Raises
    ------
    LockedError, InvalidArgumentError, IncompatibleFormatError, CorruptionError (no table is known
    at all), MarbleIOError
    """
    cdef CStatus status
    cdef CRepairReport report
    cdef CRepairOptions options
    cdef string c_path = os.fsencode(path)
    cdef string c_target = os.fsencode(target)
    if progress is not None:
        options.progress = MakeRepairProgress(<PyObject*> progress)
    with nogil:
        status = Take(RepairDatabase(c_path, c_target, options), &report)
    check_called_back(status)
    return json.loads(report.ToJson().decode("utf-8"))
