//! What a crowd of clients has needed goes back to the system once the crowd is gone.

/// A crowd that is worth it, in connections.
const CROWD: usize = 64;

/// How large the crowd was since memory was last given back.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    most: usize,
}

impl Crowd {
    /// So many connections are open now.
    pub(super) fn is(&mut self, open: usize) {
        self.most = self.most.max(open);
    }

    /// Gives memory back if at least half of the crowd has left.
    pub(super) fn give_back_behind(&mut self, open: usize) {
        if self.most >= CROWD && open <= self.most / 2 {
            self.most = open;
            give_back();
        }
    }
}

/// glibc keeps all that lies below the last thing in use, in a heap for each thread: of 30 MB after a flood, 1.5 were in use.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "nothing else in here can do it")]
fn give_back() {
    // SAFETY: it takes no pointer, and any thread may call it at any time (malloc_trim(3)).
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
