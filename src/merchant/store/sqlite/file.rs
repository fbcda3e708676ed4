//! The file that the books are in: that one server at a time has it, that it stays the file that was opened, and that there
//! is room for more.
//!
//! Beside `merchant.db` lies `merchant.db.lock`, which a server holds locked while it runs. It keeps the identity of the
//! books as well: where it tells of books that are not there, a server begins no new ones.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use rustix::fs::{FlockOperation, flock, statvfs};

use crate::merchant::store::NotUsable;

/// With less room than this, in bytes, the next payments may find none.
const LEAST_ROOM: u64 = 1 << 20;

/// The books' files, locked for this process.
#[derive(Debug)]
pub struct BooksFile {
    /// Each with what it was when it was opened: the database, its log, the lock.
    files: [(PathBuf, FileId); 3],
    /// It holds the lock until it is closed.
    _lock: File,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId {
    device: u64,
    inode: u64,
}

impl From<Metadata> for FileId {
    fn from(metadata: Metadata) -> FileId {
        FileId {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// What is wrong with the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unsafe {
    /// What is written goes to a file that nobody will find again: the process must end.
    Lost(String),
    /// It can be mended while the process runs.
    Now(String),
}

/// The lock on books, held; what it tells of them.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    identity: String,
}

impl Lock {
    /// Takes the lock of the books in this file. Refuses where another server holds it, and where it tells of books that are
    /// not there.
    pub fn take(books: &Path) -> Result<Lock, NotUsable> {
        let path = with_ending(books, ".lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(NotUsable::Setting(
                    "another server has these books open: end it first, or give this one books of its own".to_owned(),
                ));
            }
            Err(error) => return Err(NotUsable::Thread(error.into())),
        }
        let mut identity = String::new();
        file.read_to_string(&mut identity)?;
        let identity = identity.trim().to_owned();
        let is_there = fs::metadata(books).is_ok_and(|metadata| metadata.len() > 0);
        if let Some(known) = is_there.then(|| identity_of(books)).flatten() {
            // Before anything of a log that was left behind by the others is applied to these.
            if !identity.is_empty() && known != identity {
                return Err(others(&path));
            }
        }
        if !identity.is_empty() && !is_there {
            return Err(NotUsable::Setting(format!(
                "these books are gone, and {} tells that there were some. Put them back (merchant backup, merchant restored); \
                 only to begin new ones, which know of no payment, remove that file",
                path.display()
            )));
        }
        Ok(Lock {
            path,
            file,
            identity,
        })
    }

    /// Compares the identity of the books with what the lock tells; gives them one if they have none yet.
    fn identify(&mut self, books: &Connection, new: &str) -> Result<(), NotUsable> {
        let known: Option<String> = books
            .query_row("SELECT books FROM identity", [], |row| row.get(0))
            .optional()?;
        let told = Some(&*self.identity).filter(|identity| !identity.is_empty());
        let identity = match (&known, told) {
            (Some(known), Some(told)) if known != told => {
                return Err(others(&self.path));
            }
            (Some(known), _) => known.as_str(),
            // Books of version 0.1.0 have none.
            (None, told) => {
                let identity = told.unwrap_or(new);
                books.execute("INSERT INTO identity (books) VALUES (?1)", [identity])?;
                identity
            }
        };
        if told != Some(identity) {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(format!("{identity}\n").as_bytes())?;
            self.file.sync_all()?;
            if let Some(parent) = self.path.parent() {
                let parent = match parent.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => parent,
                };
                File::open(parent)?.sync_all()?;
            }
        }
        Ok(())
    }
}

impl BooksFile {
    /// The books in this file, which `connection` has open. `new` is the identity of books that have none.
    pub fn opened(
        path: &Path,
        connection: &Connection,
        mut lock: Lock,
        new: &str,
    ) -> Result<BooksFile, NotUsable> {
        lock.identify(connection, new)?;
        let of = |path: PathBuf| {
            let id = FileId::from(fs::metadata(&path)?);
            Ok::<_, io::Error>((path, id))
        };
        let files = [
            of(path.to_owned())?,
            of(with_ending(path, "-wal"))?,
            of(lock.path)?,
        ];
        Ok(BooksFile {
            files,
            _lock: lock.file,
        })
    }

    /// Whether the files are still those that were opened. Cheap: before each answer that stands on a commit.
    pub fn look(&self) -> Result<(), Unsafe> {
        for (path, opened) in &self.files {
            let name = path.display();
            let metadata = fs::metadata(path)
                .map_err(|error| Unsafe::Lost(format!("{name} is gone: {error}")))?;
            let links = metadata.nlink();
            if FileId::from(metadata) != *opened {
                let told = format!("{name} is another file than the one that was opened");
                return Err(Unsafe::Lost(told));
            }
            if links != 1 {
                return Err(Unsafe::Now(format!(
                    "{name} has {links} names: who opens it by another one damages the books; remove that name"
                )));
            }
        }
        Ok(())
    }

    /// Whether there is room for more.
    pub fn look_for_room(&self) -> Result<(), Unsafe> {
        let (path, _) = &self.files[0];
        let Ok(disk) = statvfs(path) else {
            return Ok(());
        };
        let room = disk.f_bavail.saturating_mul(disk.f_frsize);
        match room >= LEAST_ROOM {
            true => Ok(()),
            false => Err(Unsafe::Now(format!(
                "the disk of {} is full: {room} bytes are left",
                path.display()
            ))),
        }
    }
}

/// What is said where the lock tells of other books.
fn others(lock: &Path) -> NotUsable {
    NotUsable::Setting(format!(
        "these are other books than those that {} tells of. Put those back; only if these are to be used instead, remove \
         that file",
        lock.display()
    ))
}

/// The identity that stands in the file itself, whatever its log says.
fn identity_of(books: &Path) -> Option<String> {
    let path = percent_encode(books.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{path}?immutable=1");
    let connection = Connection::open_with_flags(uri, flags).ok()?;
    connection
        .query_row("SELECT books FROM identity", [], |row| row.get(0))
        .ok()
}

/// Makes the file, if it is not there, so that nobody else may read it. Its log and shared memory take its mode.
pub fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}
