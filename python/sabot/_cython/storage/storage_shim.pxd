# cython: language_level=3
# sabot/storage/interface.h as Cython sees it.
from libc.stdint cimport int64_t
from libcpp cimport bool as c_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.optional cimport optional
from libcpp.pair cimport pair
from libcpp.string cimport string
from libcpp.vector cimport vector
from pyarrow.includes.common cimport CStatus
from pyarrow.includes.libarrow cimport (
    CExpression, CRecordBatch, CRecordBatchReader, CScalar, CSchema)


cdef extern from "sabot/storage/interface.h" namespace "sabot::storage" nogil:
    cdef cppclass StatusCode:
        pass

    StatusCode kOK "sabot::storage::StatusCode::OK"
    StatusCode kNotFound "sabot::storage::StatusCode::NotFound"

    cdef cppclass CStorageStatus "sabot::storage::Status":
        c_bool ok() const
        StatusCode code() const
        const string& message() const
        c_bool IsNotFound() const
        c_bool IsInvalidArgument() const

    cdef cppclass CStorageConfig "sabot::storage::StorageConfig":
        string path
        int64_t memtable_size_mb
        c_bool enable_bloom_filter
        c_bool enable_sparse_index
        int64_t index_granularity

    cdef cppclass CStateIterator "sabot::storage::StateIterator":
        pass

    cdef cppclass CStateBackend "sabot::storage::StateBackend":
        CStorageStatus Open(const CStorageConfig& config)
        CStorageStatus Close()
        CStorageStatus Flush()
        CStorageStatus Put(const string& key, const string& value)
        CStorageStatus Get(const string& key, string* value)
        CStorageStatus Delete(const string& key)
        CStorageStatus Exists(const string& key, c_bool* exists)
        CStorageStatus DeleteRange(const string& start, const string& end)
        CStorageStatus NewIterator(const string& start, const string& end,
                                   unique_ptr[CStateIterator]* iterator, c_bool reverse)

    cdef cppclass CKeyRange "sabot::storage::KeyRange":
        vector[shared_ptr[CScalar]] start
        vector[shared_ptr[CScalar]] end

    cdef cppclass CTableOptions "sabot::storage::TableOptions":
        vector[string] primary_key

    cdef cppclass CStoreBackend "sabot::storage::StoreBackend":
        CStorageStatus Open(const CStorageConfig& config)
        CStorageStatus Close()
        CStorageStatus Flush()
        CStorageStatus CreateTable(const string& name, const shared_ptr[CSchema]& schema,
                                   const CTableOptions& options)
        CStorageStatus DropTable(const string& name)
        CStorageStatus ListTables(vector[string]* names)
        CStorageStatus GetSchema(const string& name, shared_ptr[CSchema]* schema)
        CStorageStatus GetPrimaryKey(const string& name, vector[string]* columns)
        CStorageStatus InsertBatches(const string& name,
                                     const vector[shared_ptr[CRecordBatch]]& batches)
        CStorageStatus DeleteRange(const string& name, const vector[shared_ptr[CScalar]]& start,
                                   const vector[shared_ptr[CScalar]]& end)

    unique_ptr[CStateBackend] CreateStateBackend(const string& type)
    unique_ptr[CStoreBackend] CreateStoreBackend(const string& type)


cdef extern from "fork_guard.h" namespace "marble_python" nogil:
    int ForkGeneration()
    void AfterForkInChild()
    void Leak[T](T& handle)


cdef extern from "guarded_reader.h" namespace "marble_python":
    ctypedef object (*ExceptionMaker)(const CStatus&)
    void SetExceptionMaker(ExceptionMaker maker)


cdef extern from "glue.h" namespace "marble_python" nogil:
    int KindNumber(const CStatus& status)
    string DetailFile(const CStatus& status)
    int64_t DetailOffset(const CStatus& status)


cdef extern from "marble/scan.h" namespace "marble" nogil:
    cdef cppclass CScanOptions "marble::ScanOptions":
        optional[vector[string]] columns
        CExpression filter


cdef extern from "storage_glue.h" namespace "sabot_python" nogil:
    CStatus ToArrow(const CStorageStatus& status)
    CStorageStatus ReaderOf(CStoreBackend& backend, const string& name, const CKeyRange& range,
                            shared_ptr[CRecordBatchReader]* reader)

    c_bool HasEngine(const CStoreBackend& backend)
    CStatus EngineReader(const CStoreBackend& backend, const string& name,
                         const CScanOptions& options, shared_ptr[CRecordBatchReader]* reader)

    cdef cppclass Pairs:
        size_t size() const
        pair[string, string]& operator[](size_t index)

    CStorageStatus TakePairs(CStateIterator& iterator, size_t count, Pairs* pairs) except +

    cdef cppclass OptionalValues:
        size_t size() const
        optional[string]& operator[](size_t index)

    CStorageStatus MultiGet(CStateBackend& backend, const vector[string]& keys,
                            OptionalValues* values)
