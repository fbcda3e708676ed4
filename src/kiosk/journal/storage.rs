//! Where a journal's bytes lie. A file on the kiosk; in the simulation a disk that loses power.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::lock::Lock;

/// Bytes that outlive a power cut.
pub trait Storage {
    /// Shows everything there is; nothing at all before the first [`Storage::replace`].
    fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T>;
    /// Writes over a part of it. It need not be on disk when this returns.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Everything written is on disk when this returns.
    fn sync(&mut self) -> io::Result<()>;
    /// Replaces everything at once: after a power cut there is the old content or the new. It is on disk when this returns.
    fn replace(&mut self, content: &[u8]) -> io::Result<()>;
}

/// A file, whose place on the disk is taken from the beginning: it can be written when the disk is full.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
    file: Option<File>,
    _lock: Option<Lock>,
}

impl FileStorage {
    /// The file at `path`, or where links there lead; nothing is opened yet.
    pub fn new(path: &Path) -> FileStorage {
        FileStorage {
            // What leads nowhere is found out when it is read.
            path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            file: None,
            _lock: None,
        }
    }

    /// The same for the kiosk of this name, and for nobody else as long as this is held.
    pub fn locked(path: &Path, owner: &str) -> io::Result<FileStorage> {
        let storage = FileStorage::new(path);
        let lock = Lock::take(&storage.path, owner)?;
        Ok(FileStorage {
            _lock: Some(lock),
            ..storage
        })
    }

    fn opened(&mut self) -> io::Result<&mut File> {
        Ok(match &mut self.file {
            Some(file) => file,
            closed => closed.insert(File::options().write(true).open(&self.path)?),
        })
    }
}

impl Storage for FileStorage {
    fn read<T>(&mut self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        match fs::read(&self.path) {
            Ok(content) => Ok(look(&content)),
            // A link that leads nowhere, to a disk that is not mounted for instance, is no missing journal.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.path.is_symlink() => {
                Ok(look(&[]))
            }
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.opened()?.write_all_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.opened()?.sync_data()
    }

    fn replace(&mut self, content: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The name is on disk only when its directory is.
        let directory = self
            .path
            .parent()
            .filter(|path| !path.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        self.file = Some(file);
        Ok(())
    }
}
