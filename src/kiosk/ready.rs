//! Waiting for what has a file descriptor: a keypad, a socket, or both at once.

use core::time::Duration;
use std::io::{Error, Result};
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::kiosk::ports::Socket;

/// What ended a wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ready {
    /// There is something to read in the file.
    File,
    /// The socket is ready, and the file has nothing to read.
    Socket,
    /// The time is up, or a signal came.
    Neither,
}

/// Waits for the file and the socket, for so long at most.
pub fn wait(
    file: Option<BorrowedFd<'_>>,
    socket: Option<Socket<'_>>,
    patience: Duration,
) -> Result<Ready> {
    let patience = Timespec::try_from(patience).map_err(Error::other)?;
    let mut both = heapless::Vec::<PollFd<'_>, 2>::new();
    let wants = |socket: &Socket<'_>| match socket.to_write {
        true => PollFlags::OUT,
        false => PollFlags::IN,
    };
    both.extend(file.map(|file| PollFd::from_borrowed_fd(file, PollFlags::IN)));
    both.extend(socket.map(|socket| PollFd::from_borrowed_fd(socket.file, wants(&socket))));
    match poll(&mut both, Some(&patience)) {
        Ok(0) | Err(Errno::INTR) => Ok(Ready::Neither),
        Ok(_) if file.is_some() && !both[0].revents().is_empty() => Ok(Ready::File),
        Ok(_) => Ok(Ready::Socket),
        Err(error) => Err(error.into()),
    }
}
