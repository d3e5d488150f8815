# cython: language_level=3
# Marble's public headers and the glue of src/, as Cython sees them.
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as c_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector
from pyarrow.includes.common cimport CResult, CStatus
from pyarrow.includes.libarrow cimport (
    CArray, CBooleanArray, CDataType, CExpression, CField, CRecordBatch, CRecordBatchReader,
    CScalar, CSchema)


cdef extern from "marble/options.h" namespace "marble" nogil:
    cdef enum class Compression(uint8_t):
        kNone
        kLz4
        kZstd

    cdef enum class PointLookup(uint8_t):
        kNone
        kBloomFilter
        kPointIndex

    cdef cppclass COptions "marble::Options":
        c_bool create_if_missing
        c_bool read_only
        int64_t memory_budget
        int64_t memtable_bytes
        int64_t log_bytes_max
        int64_t log_segment_bytes
        int64_t target_file_bytes
        int64_t level_base_bytes
        int background_threads
        c_bool use_mappings
        c_bool auto_compaction

    cdef cppclass CTableOptions "marble::TableOptions":
        vector[string] primary_key
        Compression compression
        optional[Compression] bottom_compression
        PointLookup point_lookup
        int64_t block_bytes
        int64_t block_rows_max

    cdef cppclass CWriteOptions "marble::WriteOptions":
        pass


cdef extern from "marble/stats.h" namespace "marble" nogil:
    cdef cppclass CLevelStats "marble::LevelStats":
        int level
        int64_t runs
        int64_t files
        int64_t rows
        int64_t bytes

    cdef cppclass CTableStats "marble::TableStats":
        string name
        vector[CLevelStats] levels
        int64_t memtable_bytes
        int64_t memtables
        int64_t rows_in_files
        int64_t bytes_in_files

    cdef cppclass CStats "marble::Stats":
        uint64_t last_sequence
        int64_t commits
        int64_t log_bytes_written
        int64_t log_syncs
        int64_t log_bytes
        int64_t log_tail_cut_bytes
        int64_t flushes
        int64_t compactions
        int64_t trivial_moves
        int64_t bytes_flushed
        int64_t bytes_compacted
        int64_t write_delays
        int64_t write_stops
        int64_t write_delay_micros
        string write_delay_reason
        int64_t snapshots
        int64_t memory_budget
        int64_t memtable_bytes
        int64_t spare_bytes
        int64_t block_cache_bytes
        int64_t block_cache_hits
        int64_t block_cache_misses
        int64_t row_cache_bytes
        int64_t row_cache_hits
        int64_t pinned_index_bytes
        int64_t files
        int64_t file_bytes
        string background_error
        vector[CTableStats] tables


cdef extern from "marble/snapshot.h" namespace "marble" nogil:
    cdef cppclass CSnapshot "marble::Snapshot":
        uint64_t sequence() const


# A plain name, because Cython cannot deduce template arguments that are const.
cdef extern from "glue.h" namespace "marble_python" nogil:
    cdef cppclass SnapshotRef:
        const CSnapshot* get() const
        void reset()


cdef extern from "marble/scan.h" namespace "marble" nogil:
    cdef cppclass CKeyRange "marble::KeyRange":
        vector[shared_ptr[CScalar]] lower
        vector[shared_ptr[CScalar]] upper

    cdef cppclass CScanOptions "marble::ScanOptions":
        optional[vector[string]] columns
        CExpression filter
        CKeyRange range
        int64_t limit
        c_bool reverse
        SnapshotRef snapshot
        int64_t batch_rows_max


cdef extern from "marble/write_batch.h" namespace "marble" nogil:
    cdef cppclass CWriteBatch "marble::WriteBatch":
        void Put(string_view table, string_view key, string_view value)
        void Delete(string_view table, string_view key)
        void DeleteRange(string_view table, string_view begin, string_view end,
                         c_bool end_unbounded)
        void DeleteRange(string_view table, CKeyRange range)
        void Insert(string_view table, shared_ptr[CRecordBatch] batch)
        void DeleteKeys(string_view table, shared_ptr[CRecordBatch] keys)
        void Clear()
        int64_t count() const


cdef extern from "marble/schema_change.h" namespace "marble" nogil:
    cdef cppclass CSchemaChange "marble::SchemaChange":
        CSchemaChange& Add(shared_ptr[CField] field, shared_ptr[CScalar] default_value)
        CSchemaChange& Drop(string column)
        CSchemaChange& Rename(string column, string name)
        CSchemaChange& Widen(string column, shared_ptr[CDataType] type)
        CSchemaChange& AllowNulls(string column)
        CSchemaChange& Reorder(vector[string] columns)


cdef extern from "marble/database.h" namespace "marble" nogil:
    cdef cppclass CTableInfo "marble::TableInfo":
        string name
        uint32_t id
        shared_ptr[CSchema] schema
        CTableOptions options
        c_bool is_key_value

    cdef cppclass CDatabase "marble::Database":
        @staticmethod
        CResult[shared_ptr[CDatabase]] Open(const string& path, const COptions& options)
        CStatus Close()
        c_bool closed() const
        CStatus CreateTable(const string& name, const shared_ptr[CSchema]& schema,
                            const CTableOptions& options)
        CStatus DropTable(const string& name)
        CStatus AlterTable(const string& name, const CSchemaChange& change)
        CResult[vector[string]] ListTables() const
        CResult[CTableInfo] GetTable(const string& name) const
        CStatus Write(const CWriteBatch& batch, const CWriteOptions& options)
        CResult[SnapshotRef] GetSnapshot()
        CStatus Flush()
        CStatus SyncLog()
        CStatus Compact(const string& table)
        CStatus WaitForBackground()
        CResult[CStats] GetStats() const
        const string& path() const
        const COptions& options() const


cdef extern from "marble/key_value.h" namespace "marble" nogil:
    cdef cppclass CPinnedValue "marble::PinnedValue":
        string_view view() const

    cdef cppclass CReadOptions "marble::ReadOptions":
        pass

    cdef cppclass CIteratorOptions "marble::IteratorOptions":
        optional[string] lower
        optional[string] upper
        SnapshotRef snapshot

    cdef cppclass CIterator "marble::Iterator":
        pass

    cdef cppclass CKeyValue "marble::KeyValue":
        @staticmethod
        CResult[shared_ptr[CKeyValue]] Open(shared_ptr[CDatabase] database, const string& table,
                                            c_bool create_if_missing)
        CStatus Put(string_view key, string_view value, const CWriteOptions& options)
        CStatus PutMany(const CArray& keys, const CArray& values, const CWriteOptions& options)
        CStatus Delete(string_view key, const CWriteOptions& options)
        CResult[c_bool] GetPinned(string_view key, CPinnedValue* value,
                                  const CReadOptions& options) const
        CResult[c_bool] Exists(string_view key, const CReadOptions& options) const
        CResult[c_bool] TryGetFromMemory(string_view key, string* value, c_bool* found) const
        CResult[unique_ptr[CIterator]] NewIterator(const CIteratorOptions& options) const
        const CTableInfo& info() const


cdef extern from "marble/table.h" namespace "marble" nogil:
    cdef enum class RowOrder(uint8_t):
        kOfKeys
        kAny

    cdef cppclass CTable "marble::Table":
        @staticmethod
        CResult[shared_ptr[CTable]] Open(shared_ptr[CDatabase] database, const string& name)
        CStatus Insert(const vector[shared_ptr[CRecordBatch]]& batches,
                       const CWriteOptions& options)
        CResult[int64_t] InsertReader "Insert"(CRecordBatchReader* rows,
                                               const CWriteOptions& options)
        CStatus Delete(const shared_ptr[CRecordBatch]& keys, const CWriteOptions& options)
        CStatus DeleteRange(const CKeyRange& range, const CWriteOptions& options)
        CResult[shared_ptr[CRecordBatch]] Get(const shared_ptr[CRecordBatch]& keys,
                                              const optional[vector[string]]& columns,
                                              vector[int64_t]* indices,
                                              const SnapshotRef& snapshot, RowOrder order) const
        CResult[shared_ptr[CBooleanArray]] Contains(const shared_ptr[CRecordBatch]& keys,
                                                    const SnapshotRef& snapshot) const
        CResult[shared_ptr[CRecordBatchReader]] Scan(const CScanOptions& options) const
        CResult[int64_t] Count(const CScanOptions& options) const
        const CTableInfo& info() const


cdef extern from "fork_guard.h" namespace "marble_python" nogil:
    int ForkGeneration()
    void AfterForkInChild()
    void Leak[T](T& handle)


cdef extern from "cells.h" namespace "marble_python":
    PyObject* CellAt(const CArray& array, int64_t row) except? NULL
    shared_ptr[CRecordBatch] BatchOfKey(const shared_ptr[CSchema]& schema, object key)


cdef extern from "glue.h" namespace "marble_python" nogil:
    CStatus Take[T](CResult[T] result, T* out)
    int KindNumber(const CStatus& status)
    string DetailFile(const CStatus& status)
    int64_t DetailOffset(const CStatus& status)
    CWriteOptions MakeWriteOptions(c_bool sync, double timeout)
    CReadOptions MakeReadOptions(SnapshotRef snapshot)
    CStatus DeleteRange(CKeyValue& kv, string_view begin, c_bool bounded, string_view end,
                        const CWriteOptions& options)

    cdef cppclass Values:
        size_t size() const

    CStatus MultiGet(const CKeyValue& kv, const vector[string_view]& keys,
                     const CReadOptions& options, Values* out)
    c_bool IsThere(const Values& values, size_t i)
    string_view ValueAt(const Values& values, size_t i)
    CStatus ViewsOf(const CArray& array, vector[string_view]* out)
    CStatus ArrayOf(const Values& values, shared_ptr[CArray]* out)

    cdef cppclass PairBuilder:
        CStatus Append(string_view key, string_view value)
        CStatus Put(CKeyValue& kv, const CWriteOptions& options)

    cdef cppclass PairViews:
        Py_ssize_t AddTuples(PyObject* pairs, Py_ssize_t begin) except +
        void Add(string_view key, string_view value) except +
        CStatus Put(CKeyValue& kv, const CWriteOptions& options)


cdef extern from "cursor.h" namespace "marble_python" nogil:
    cdef cppclass Cursor:
        Cursor(unique_ptr[CIterator] iterator, optional[string] lower, optional[string] upper)
        void SeekToStart()
        void SeekToStop()
        void Seek(string_view key)
        c_bool Ready(c_bool forward) const
        CStatus Fill(c_bool forward)
        c_bool Take(string_view* key, string_view* value)


cdef extern from "dataset_capsule.h" namespace "marble_python":
    cdef cppclass DatasetRef:
        pass

    CResult[DatasetRef] MakeGuardedDataset(shared_ptr[CTable] table, SnapshotRef snapshot,
                                           vector[string] dictionary_columns) nogil
    object DatasetCapsule(DatasetRef dataset)


cdef extern from "guarded_reader.h" namespace "marble_python":
    ctypedef object (*ExceptionMaker)(const CStatus&)
    void SetExceptionMaker(ExceptionMaker maker)
    shared_ptr[CRecordBatchReader] Guard(shared_ptr[CRecordBatchReader] reader) nogil


cdef extern from "marble/transfer.h" namespace "marble" nogil:
    cdef enum class FileFormat(uint8_t):
        kGuess
        kParquet
        kArrowFile
        kArrowStream
        kCsv

    cdef cppclass CProgress "marble::ProgressCallback":
        pass

    cdef cppclass CImportOptions "marble::ImportOptions":
        FileFormat format
        c_bool ignore_unknown_columns
        c_bool atomic
        char csv_delimiter
        vector[string] csv_nulls
        CWriteOptions write
        CProgress progress

    cdef cppclass CImportResult "marble::ImportResult":
        int64_t rows
        c_bool cancelled

    cdef cppclass CExportOptions "marble::ExportOptions":
        FileFormat format
        c_bool overwrite
        CScanOptions scan
        optional[Compression] compression
        char csv_delimiter
        CProgress progress

    cdef cppclass CExportResult "marble::ExportResult":
        int64_t rows
        int64_t bytes
        c_bool cancelled

    CResult[int64_t] BulkLoad(const shared_ptr[CTable]& table, CRecordBatchReader* rows,
                              const CWriteOptions& options)
    CStatus ImportFile(const shared_ptr[CTable]& table, const string& path,
                       const CImportOptions& options, CImportResult* result)
    CResult[shared_ptr[CSchema]] ReadFileSchema(const shared_ptr[CDatabase]& database,
                                                const string& path, const CImportOptions& options)
    CResult[CExportResult] ExportFile(const shared_ptr[CTable]& table, const string& path,
                                      const CExportOptions& options)


cdef extern from "marble/verify.h" namespace "marble" nogil:
    cdef cppclass CVerifyProgress "std::function<arrow::Status(const marble::VerifyProgress&)>":
        pass

    cdef cppclass CVerifyOptions "marble::VerifyOptions":
        CVerifyProgress progress

    cdef cppclass CVerifyReport "marble::VerifyReport":
        string ToJson() const

    CResult[CVerifyReport] VerifyDatabase(const string& path, const CVerifyOptions& options)


cdef extern from "marble/repair.h" namespace "marble" nogil:
    cdef cppclass CRepairProgress "std::function<arrow::Status(const marble::RepairProgress&)>":
        pass

    cdef cppclass CRepairOptions "marble::RepairOptions":
        CRepairProgress progress

    cdef cppclass CRepairReport "marble::RepairReport":
        string ToJson() const

    CResult[CRepairReport] RepairDatabase(const string& damaged, const string& target,
                                          const CRepairOptions& options)


cdef extern from "transfer_glue.h" namespace "marble_python":
    CProgress MakeProgress(PyObject* callback, CStatus* raised)
    CVerifyProgress MakeVerifyProgress(PyObject* callback)
    CRepairProgress MakeRepairProgress(PyObject* callback)
    c_bool IsPythonError(const CStatus& status)
