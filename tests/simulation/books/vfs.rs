//! A disk for SQLite that loses power: what was written and not synced is kept, lost or torn, in any order.
//!
//! One disk a thread. At the step at which the power goes, and ever after, everything fails until [`restart`]. There is one
//! connection, so nothing is ever locked, and the shared memory of the write-ahead log is memory.
#![expect(
    unsafe_code,
    reason = "SQLite talks to its file systems through pointers"
)]

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;
use std::slice;
use std::sync::Once;

use rusqlite::ffi;

use crate::dice::Dice;
use crate::story::Torn;

const NAME: &CStr = c"power-cut";
const SECTOR: usize = 512;

/// A change of a file that no sync has made sure of.
struct Change {
    at: usize,
    /// What was there, and how long the file was.
    old: Vec<u8>,
    old_len: usize,
    /// What was written; `None`: the file was cut here.
    new: Option<Vec<u8>>,
}

#[derive(Default)]
struct File {
    name: Vec<u8>,
    exists: bool,
    content: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Default)]
struct Disk {
    files: Vec<File>,
    /// The write-ahead log's index: gone with the power.
    shared: Vec<Box<[u64]>>,
    steps: u64,
    cut_at: Option<u64>,
    died: bool,
}

thread_local! {
    static DISK: RefCell<Disk> = RefCell::default();
}

fn with<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    DISK.with_borrow_mut(work)
}

/// This thread's disk is a new one, with these files on it.
pub fn new_disk(files: &Image) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(register);
    let file = |(name, content): &(Vec<u8>, Vec<u8>)| File {
        name: name.clone(),
        exists: true,
        content: content.clone(),
        unsynced: Vec::new(),
    };
    with(|disk| {
        *disk = Disk {
            files: files.iter().map(file).collect(),
            ..Disk::default()
        }
    });
}

/// Names and contents of files.
pub type Image = Vec<(Vec<u8>, Vec<u8>)>;

/// The files on this thread's disk.
pub fn image() -> Image {
    with(|disk| {
        let files = disk.files.iter().filter(|file| file.exists);
        files
            .map(|file| (file.name.clone(), file.content.clone()))
            .collect()
    })
}

/// How SQLite is told to open a file of this disk.
pub fn address(name: &str) -> String {
    format!("file:/{name}?vfs=power-cut")
}

pub fn steps() -> u64 {
    with(|disk| disk.steps)
}

/// Steps are counted from here.
pub fn count_from_here() {
    with(|disk| disk.steps = 0);
}

/// The power goes at this step.
pub fn cut_at(step: Option<u64>) {
    with(|disk| disk.cut_at = step);
}

pub fn has_died() -> bool {
    with(|disk| disk.died)
}

/// The power is back, and the disk holds what it holds.
pub fn restart(torn: Torn, dice: &mut Dice) {
    with(|disk| {
        (disk.died, disk.cut_at) = (false, None);
        disk.shared.clear();
        for file in &mut disk.files {
            file.settle(torn, dice);
        }
    });
}

impl Disk {
    /// A step of output: here the power may go.
    fn step(&mut self) -> bool {
        self.steps += 1;
        self.died |= self.cut_at.is_some_and(|cut_at| self.steps >= cut_at);
        self.died
    }

    fn place(&mut self, name: &[u8]) -> usize {
        let known = self.files.iter().position(|file| file.name == name);
        known.unwrap_or_else(|| {
            self.files.push(File {
                name: name.to_owned(),
                ..File::default()
            });
            self.files.len() - 1
        })
    }
}

impl File {
    fn write(&mut self, at: usize, new: &[u8]) {
        let old_len = self.content.len();
        let end = at + new.len();
        let old = self.content.get(at..end.min(old_len)).unwrap_or_default();
        self.unsynced.push(Change {
            at,
            old: old.to_owned(),
            old_len,
            new: Some(new.to_owned()),
        });
        self.apply(at, new);
    }

    fn apply(&mut self, at: usize, new: &[u8]) {
        if self.content.len() < at {
            self.content.resize(at, 0);
        }
        let over = new.len().min(self.content.len() - at);
        self.content[at..at + over].copy_from_slice(&new[..over]);
        self.content.extend_from_slice(&new[over..]);
    }

    fn cut(&mut self, at: usize) {
        let old_len = self.content.len();
        self.unsynced.push(Change {
            at,
            old: self.content.get(at..).unwrap_or_default().to_owned(),
            old_len,
            new: None,
        });
        self.content.resize(at, 0);
    }

    /// After a power cut: of what was not synced, something is there.
    fn settle(&mut self, torn: Torn, dice: &mut Dice) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for change in unsynced.iter().rev() {
            self.content.resize(change.old_len, 0);
            self.apply(change.at, &change.old);
            self.content.truncate(change.old_len);
        }
        for change in &unsynced {
            let is_kept = match torn {
                Torn::Lost => false,
                Torn::Kept => true,
                Torn::Front(_) | Torn::Noise(_) => dice.chance(500),
            };
            match &change.new {
                _ if !is_kept => {}
                None => self.content.resize(change.at, 0),
                Some(new) => {
                    let whole = new.len().div_ceil(SECTOR) as u64;
                    let sectors = match torn {
                        Torn::Kept => whole,
                        _ => dice.within(0, whole),
                    };
                    let length = (sectors as usize * SECTOR).min(new.len());
                    self.apply(change.at, &new[..length]);
                    if let (Torn::Noise(_), true) = (torn, length < new.len()) {
                        let noise: Vec<u8> = (length..new.len().min(length + SECTOR))
                            .map(|_| dice.draw() as u8)
                            .collect();
                        self.apply(change.at + length, &noise);
                    }
                }
            }
        }
    }
}

/// What SQLite holds of an open file.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    file: usize,
}

/// The handle that [`open`] has filled in.
unsafe fn file_of(disk: &mut Disk, handle: *mut ffi::sqlite3_file) -> &mut File {
    // SAFETY: SQLite passes only handles that `open` has filled in.
    let place = unsafe { (*handle.cast::<Handle>()).file };
    &mut disk.files[place]
}

fn register() {
    let vfs = Box::new(ffi::sqlite3_vfs {
        iVersion: 2,
        szOsFile: size_of::<Handle>() as c_int,
        mxPathname: 64,
        pNext: ptr::null_mut(),
        zName: NAME.as_ptr(),
        pAppData: ptr::null_mut(),
        xOpen: Some(open),
        xDelete: Some(delete),
        xAccess: Some(access),
        xFullPathname: Some(full_pathname),
        xDlOpen: None,
        xDlError: None,
        xDlSym: None,
        xDlClose: None,
        xRandomness: Some(randomness),
        xSleep: Some(sleep),
        xCurrentTime: Some(current_time),
        xGetLastError: None,
        xCurrentTimeInt64: Some(current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    });
    // SAFETY: the structure is complete and lives for ever.
    let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(vfs), 0) };
    assert_eq!(registered, ffi::SQLITE_OK);
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    handle: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a name that ends in NUL, or none for a file of its own, and room for our handle.
    unsafe {
        let handle = &mut *handle.cast::<Handle>();
        handle.base.pMethods = ptr::null();
        let name: &[u8] = match name.is_null() {
            true => b"temporary",
            false => CStr::from_ptr(name).to_bytes(),
        };
        let opened = with(|disk| {
            if disk.died {
                return None;
            }
            let place = disk.place(name);
            disk.files[place].exists = true;
            Some(place)
        });
        let Some(place) = opened else {
            return ffi::SQLITE_CANTOPEN;
        };
        handle.file = place;
        handle.base.pMethods = &METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, _: c_int) -> c_int {
    // SAFETY: the name ends in NUL.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    with(|disk| {
        if disk.step() {
            return ffi::SQLITE_IOERR_DELETE;
        }
        let place = disk.place(name);
        let file = &mut disk.files[place];
        (file.exists, file.content) = (false, Vec::new());
        file.unsynced.clear();
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn access(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    _: c_int,
    exists: *mut c_int,
) -> c_int {
    // SAFETY: the name ends in NUL, and there is room for the answer.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes();
        let known = |disk: &mut Disk| {
            let known = |file: &&File| file.name == name && file.exists;
            disk.files.iter().any(|file| known(&file))
        };
        *exists = c_int::from(with(known));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    size: c_int,
    full: *mut c_char,
) -> c_int {
    // SAFETY: there is room for `size` bytes; our names are shorter.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes_with_nul();
        if name.len() > size as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name.as_ptr(), full.cast(), name.len());
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, size: c_int, out: *mut c_char) -> c_int {
    // SAFETY: there is room for `size` bytes.
    unsafe { ptr::write_bytes(out, 0x5e, size as usize) };
    size
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, time: *mut f64) -> c_int {
    // SAFETY: there is room for the answer.
    unsafe { *time = 2_461_000.5 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_: *mut ffi::sqlite3_vfs, time: *mut i64) -> c_int {
    // SAFETY: there is room for the answer.
    unsafe { *time = 212_630_400_000_000 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    handle: *mut ffi::sqlite3_file,
    out: *mut c_void,
    size: c_int,
    at: i64,
) -> c_int {
    // SAFETY: there is room for `size` bytes.
    let out = unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), size as usize) };
    with(|disk| {
        if disk.died {
            return ffi::SQLITE_IOERR_READ;
        }
        // SAFETY: see `file_of`.
        let file = unsafe { file_of(disk, handle) };
        let there = file.content.get(at as usize..).unwrap_or_default();
        let length = there.len().min(out.len());
        out[..length].copy_from_slice(&there[..length]);
        out[length..].fill(0);
        if length < out.len() {
            return ffi::SQLITE_IOERR_SHORT_READ;
        }
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn write(
    handle: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    size: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite gives `size` bytes.
    let bytes = unsafe { slice::from_raw_parts(bytes.cast::<u8>(), size as usize) };
    with(|disk| {
        let was_dead = disk.died;
        let died = disk.step();
        if !was_dead {
            // Also the write in which the power goes: it may be there afterwards.
            // SAFETY: see `file_of`.
            unsafe { file_of(disk, handle) }.write(at as usize, bytes);
        }
        if died {
            return ffi::SQLITE_IOERR_WRITE;
        }
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn truncate(handle: *mut ffi::sqlite3_file, size: i64) -> c_int {
    with(|disk| {
        if disk.step() {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
        // SAFETY: see `file_of`.
        unsafe { file_of(disk, handle) }.cut(size as usize);
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn sync(handle: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    with(|disk| {
        if disk.step() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        // SAFETY: see `file_of`.
        unsafe { file_of(disk, handle) }.unsynced.clear();
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn file_size(handle: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    // SAFETY: see `file_of`; there is room for the answer.
    unsafe { *size = with(|disk| file_of(disk, handle).content.len() as i64) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    // SAFETY: there is room for the answer.
    unsafe { *held = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR as c_int
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // A torn write changes no byte beside it, as `File::settle` has it.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    _: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extends: c_int,
    out: *mut *mut c_void,
) -> c_int {
    with(|disk| {
        let region = region as usize;
        if disk.shared.len() <= region && extends == 0 {
            // SAFETY: there is room for the answer.
            unsafe { *out = ptr::null_mut() };
            return ffi::SQLITE_OK;
        }
        while disk.shared.len() <= region {
            disk.shared.push(vec![0; size as usize / 8].into());
        }
        // SAFETY: there is room for the answer; a region stays where it is until its last user is gone.
        unsafe { *out = disk.shared[region].as_mut_ptr().cast() };
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn shm_lock(_: *mut ffi::sqlite3_file, _: c_int, _: c_int, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {}

unsafe extern "C" fn shm_unmap(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    with(|disk| disk.shared.clear());
    ffi::SQLITE_OK
}
