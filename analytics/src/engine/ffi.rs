//! The C interface of `libchdb`, the one place with unsafe code.
//!
//! The signatures are those of `chdb.h` (chdb-core 26.7). A [`Connection`] stays on the thread that
//! opened it, which needs a stack of [`STACK_BYTES`]: the parser and planner run on the caller's stack.
#![allow(
    unsafe_code,
    reason = "calls into libchdb; every block states why it is sound"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;

/// Stack of every thread that calls the engine; the 2 MB of a tokio thread are not enough.
pub(crate) const STACK_BYTES: usize = 64 << 20;

type Handle = *mut c_void;
type Bytes = *const c_char;
type Query = unsafe extern "C" fn(
    Handle,
    Bytes,
    usize,
    Bytes,
    usize,
    Names,
    Lens,
    Names,
    Lens,
    usize,
) -> Handle;
type Names = *const Bytes;
type Lens = *const usize;

/// The functions of a loaded library. The library is never unloaded: its threads outlive every handle.
#[derive(Clone, Copy)]
pub(crate) struct Api {
    version: unsafe extern "C" fn() -> Bytes,
    set_signal_handlers: unsafe extern "C" fn(c_int),
    connect: unsafe extern "C" fn(c_int, *mut *mut c_char) -> *mut Handle,
    close: unsafe extern "C" fn(*mut Handle),
    query: Query,
    stream_query: Query,
    stream_fetch: unsafe extern "C" fn(Handle, Handle) -> Handle,
    stream_cancel: unsafe extern "C" fn(Handle, Handle),
    destroy_result: unsafe extern "C" fn(Handle),
    insert: Query,
    append: unsafe extern "C" fn(Handle, *const c_void, usize) -> c_int,
    done: unsafe extern "C" fn(Handle) -> Handle,
    insert_error: unsafe extern "C" fn(Handle) -> Bytes,
    destroy_insert: unsafe extern "C" fn(Handle),
    buffer: unsafe extern "C" fn(Handle) -> Bytes,
    length: unsafe extern "C" fn(Handle) -> usize,
    error: unsafe extern "C" fn(Handle) -> Bytes,
    storage_rows_read: unsafe extern "C" fn(Handle) -> u64,
    storage_bytes_read: unsafe extern "C" fn(Handle) -> u64,
    rows_read: unsafe extern "C" fn(Handle) -> u64,
    rows_written: unsafe extern "C" fn(Handle) -> u64,
    bytes_written: unsafe extern "C" fn(Handle) -> u64,
    classify: unsafe extern "C" fn(Handle, Bytes, usize, Bytes, usize, *mut Analysis) -> c_int,
}

/// What the engine's own parser says of a text, without running it.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Analysis {
    struct_size: u32,
    /// Statements in the text; 0 if it is empty or does not parse.
    pub(crate) statements: u32,
    flags: u32,
    class: u32,
}

/// What a statement does to state that outlives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    ReadOnly,
    Mutating,
    /// SET, USE, SYSTEM, KILL, INTO OUTFILE, INSERT INTO FUNCTION and the like.
    Control,
    Unknown,
}

impl Analysis {
    pub(crate) fn class(&self) -> Class {
        match self.class {
            0 => Class::ReadOnly,
            1 | 2 => Class::Mutating,
            3 => Class::Control,
            _ => Class::Unknown,
        }
    }
}

/// Rows and bytes that a statement read and wrote.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) read_rows: u64,
    pub(crate) read_bytes: u64,
    pub(crate) result_rows: u64,
    pub(crate) written_rows: u64,
    pub(crate) written_bytes: u64,
}

impl Api {
    pub(crate) fn load(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: loading runs the library's initialisers. The path names libchdb by configuration, and each
        // symbol is taken with the signature that chdb.h gives it.
        unsafe {
            let library = libloading::Library::new(path)?;
            macro_rules! symbol {
                ($name:literal) => {
                    *library.get(concat!($name, "\0").as_bytes())?
                };
            }
            let api = Self {
                version: symbol!("chdb_version"),
                set_signal_handlers: symbol!("chdb_set_signal_handlers_enabled"),
                connect: symbol!("chdb_connect"),
                close: symbol!("chdb_close_conn"),
                query: symbol!("chdb_query_with_params_n"),
                stream_query: symbol!("chdb_stream_query_with_params_n"),
                stream_fetch: symbol!("chdb_stream_fetch_result"),
                stream_cancel: symbol!("chdb_stream_cancel_query"),
                destroy_result: symbol!("chdb_destroy_query_result"),
                insert: symbol!("chdb_stream_insert_with_params_n"),
                append: symbol!("chdb_stream_append"),
                done: symbol!("chdb_stream_done"),
                insert_error: symbol!("chdb_stream_insert_error"),
                destroy_insert: symbol!("chdb_destroy_insert_stream"),
                buffer: symbol!("chdb_result_buffer"),
                length: symbol!("chdb_result_length"),
                error: symbol!("chdb_result_error"),
                storage_rows_read: symbol!("chdb_result_storage_rows_read"),
                storage_bytes_read: symbol!("chdb_result_storage_bytes_read"),
                rows_read: symbol!("chdb_result_rows_read"),
                rows_written: symbol!("chdb_result_rows_written"),
                bytes_written: symbol!("chdb_result_bytes_written"),
                classify: symbol!("chdb_classify_query_n"),
            };
            std::mem::forget(library);
            // The process keeps its own handlers (SIGTERM must reach the orderly stop), and a fault in the engine
            // kills the process instead of being caught.
            (api.set_signal_handlers)(0);
            Ok(api)
        }
    }

    pub(crate) fn version(&self) -> String {
        // SAFETY: returns a static NUL-terminated string.
        unsafe { text((self.version)()) }.unwrap_or_default()
    }
}

/// Copies a NUL-terminated string of the library.
///
/// # Safety
/// `raw` is null or a NUL-terminated string that lives for the call.
unsafe fn text(raw: Bytes) -> Option<String> {
    // SAFETY: as the caller promises.
    (!raw.is_null()).then(|| {
        unsafe { CStr::from_ptr(raw) }
            .to_string_lossy()
            .into_owned()
    })
}

/// Query parameters in the shape of the C interface.
struct Params {
    names: Vec<Bytes>,
    name_lens: Vec<usize>,
    values: Vec<Bytes>,
    value_lens: Vec<usize>,
}

impl Params {
    fn new(params: &[(String, String)]) -> Self {
        Self {
            names: params
                .iter()
                .map(|(name, _)| name.as_ptr().cast())
                .collect(),
            name_lens: params.iter().map(|(name, _)| name.len()).collect(),
            values: params
                .iter()
                .map(|(_, value)| value.as_ptr().cast())
                .collect(),
            value_lens: params.iter().map(|(_, value)| value.len()).collect(),
        }
    }
}

/// One session of the engine. It runs one statement at a time.
pub(crate) struct Connection {
    api: Api,
    cell: *mut Handle,
}

impl Connection {
    /// Opens a session on `data_dir`; `None` if the engine refuses. A process has one data directory for good.
    pub(crate) fn open(api: Api, data_dir: &Path, options: &[String]) -> Option<Self> {
        let path = format!("--path={}", data_dir.to_str()?);
        let args = ["chdb", &path]
            .into_iter()
            .chain(options.iter().map(String::as_str));
        let mut owned: Vec<Vec<u8>> = Vec::new();
        for arg in args {
            owned.push(CString::new(arg).ok()?.into_bytes_with_nul());
        }
        let mut argv: Vec<*mut c_char> = owned
            .iter_mut()
            .map(|arg| arg.as_mut_ptr().cast())
            .collect();
        let argc = c_int::try_from(argv.len()).ok()?;
        // SAFETY: `argv` holds `argc` pointers to NUL-terminated strings that outlive the call. A non-null result
        // points to a cell with the connection, owned by us until `close`.
        unsafe {
            let cell = (api.connect)(argc, argv.as_mut_ptr());
            (!cell.is_null() && !(*cell).is_null()).then_some(Self { api, cell })
        }
    }

    fn handle(&self) -> Handle {
        // SAFETY: `cell` is valid and filled from `open` to `drop`.
        unsafe { *self.cell }
    }

    fn call(
        &self,
        function: Query,
        sql: &[u8],
        format: &str,
        params: &[(String, String)],
    ) -> Handle {
        let params = Params::new(params);
        // SAFETY: all pointers are valid for their lengths during the call, which copies what it keeps; the four
        // arrays have `names.len()` entries each.
        unsafe {
            function(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                format.as_ptr().cast(),
                format.len(),
                params.names.as_ptr(),
                params.name_lens.as_ptr(),
                params.values.as_ptr(),
                params.value_lens.as_ptr(),
                params.names.len(),
            )
        }
    }

    /// Runs a statement to its end. `Err` is the exception text.
    pub(crate) fn query(
        &self,
        sql: &str,
        format: &str,
        params: &[(String, String)],
    ) -> Result<(Vec<u8>, Counts), String> {
        self.take(self.call(self.api.query, sql.as_bytes(), format, params))
    }

    /// Starts a SELECT whose result is fetched block by block, each formatted as a document of its own.
    pub(crate) fn stream(
        &self,
        sql: &str,
        format: &str,
        params: &[(String, String)],
    ) -> Result<Stream<'_>, String> {
        let handle = self.call(self.api.stream_query, sql.as_bytes(), format, params);
        if handle.is_null() {
            return Err("no stream from the engine".into());
        }
        let stream = Stream {
            connection: self,
            handle,
        };
        // SAFETY: `handle` is a live result, owned by `stream`.
        match unsafe { text((self.api.error)(handle)) } {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Starts an insert whose rows follow in `format`; `head` has neither FORMAT nor data.
    pub(crate) fn insert(
        &self,
        head: &str,
        format: &str,
        params: &[(String, String)],
    ) -> Result<Insert<'_>, String> {
        let handle = self.call(self.api.insert, head.as_bytes(), format, params);
        let insert = Insert {
            connection: self,
            handle,
        };
        match insert.error() {
            Some(error) => Err(error),
            None => Ok(insert),
        }
    }

    /// Asks the engine's parser what a text is.
    pub(crate) fn classify(&self, sql: &str) -> Option<Analysis> {
        let mut analysis = Analysis {
            struct_size: u32::try_from(size_of::<Analysis>()).ok()?,
            ..Analysis::default()
        };
        // SAFETY: `sql` is valid for its length, the target database may be null, and `analysis` has the layout of
        // chdb_query_analysis_v1 with its size filled in.
        let state = unsafe {
            (self.api.classify)(
                self.handle(),
                sql.as_ptr().cast(),
                sql.len(),
                ptr::null(),
                0,
                &raw mut analysis,
            )
        };
        (state == 0).then_some(analysis)
    }

    /// Copies a result and frees it.
    fn take(&self, result: Handle) -> Result<(Vec<u8>, Counts), String> {
        if result.is_null() {
            return Err("no result from the engine".into());
        }
        let api = &self.api;
        // SAFETY: `result` is live until destroyed here; its buffer has `length` bytes, and is read only if not null.
        unsafe {
            let outcome = match text((api.error)(result)) {
                Some(error) => Err(error),
                None => {
                    let (buffer, length) = ((api.buffer)(result), (api.length)(result));
                    let bytes = if buffer.is_null() || length == 0 {
                        Vec::new()
                    } else {
                        std::slice::from_raw_parts(buffer.cast::<u8>(), length).to_vec()
                    };
                    let counts = Counts {
                        read_rows: (api.storage_rows_read)(result),
                        read_bytes: (api.storage_bytes_read)(result),
                        result_rows: (api.rows_read)(result),
                        written_rows: (api.rows_written)(result),
                        written_bytes: (api.bytes_written)(result),
                    };
                    Ok((bytes, counts))
                }
            };
            (api.destroy_result)(result);
            outcome
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once; streams and inserts borrow the connection and are gone.
        unsafe { (self.api.close)(self.cell) }
    }
}

/// A SELECT in progress; dropping it cancels the query.
pub(crate) struct Stream<'a> {
    connection: &'a Connection,
    handle: Handle,
}

impl Stream<'_> {
    /// The next block, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Vec<u8>, Counts)>, String> {
        // SAFETY: both handles are live, and the exclusive borrow serialises the calls.
        let result =
            unsafe { (self.connection.api.stream_fetch)(self.connection.handle(), self.handle) };
        let (bytes, counts) = self.connection.take(result)?;
        Ok((!bytes.is_empty()).then_some((bytes, counts)))
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is live and destroyed once; cancelling a finished stream does nothing.
        unsafe {
            (self.connection.api.stream_cancel)(self.connection.handle(), self.handle);
            (self.connection.api.destroy_result)(self.handle);
        }
    }
}

/// An insert in progress; dropping it before [`Insert::finish`] cancels it.
pub(crate) struct Insert<'a> {
    connection: &'a Connection,
    handle: Handle,
}

impl Insert<'_> {
    pub(crate) fn append(&mut self, rows: &[u8]) -> Result<(), String> {
        // SAFETY: the handle is live and `rows` is valid for its length; the engine copies it.
        let state =
            unsafe { (self.connection.api.append)(self.handle, rows.as_ptr().cast(), rows.len()) };
        match state {
            0 => Ok(()),
            _ => Err(self
                .error()
                .unwrap_or_else(|| "the insert ended early".into())),
        }
    }

    /// Writes the rows; on success they are in a part on disk.
    pub(crate) fn finish(self) -> Result<Counts, String> {
        // SAFETY: the handle is live; `done` gives a result that `take` frees, the handle itself is freed by drop.
        let result = unsafe { (self.connection.api.done)(self.handle) };
        self.connection.take(result).map(|(_, counts)| counts)
    }

    fn error(&self) -> Option<String> {
        // SAFETY: the handle is live (the engine never returns null here, and accepts null).
        unsafe { text((self.connection.api.insert_error)(self.handle)) }
    }
}

impl Drop for Insert<'_> {
    fn drop(&mut self) {
        // SAFETY: destroyed once; the engine cancels an insert that was not finished.
        unsafe { (self.connection.api.destroy_insert)(self.handle) }
    }
}
