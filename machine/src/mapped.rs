//! Files that are read or written as memory, and what happens when one of them is cut or cannot be read meanwhile.
//!
//! The system sends `SIGBUS` to who reads a mapped page that its file does not hold any more, or that the disk cannot give;
//! that ends a process. Here such a page is replaced by zeros, the owner of the file is told ([`MappedOwner::is_cut`]), and
//! the reader goes on. What it made of the zeros is for its caller to throw away.
//!
//! Does: map files, watch what is mapped, hold a file of numbers ([`Cells`]). Does not: check what files hold. On other systems than
//! Linux with 64 bits it watches nothing. Called by the engine for the files of an index. Read first: [`MappedBytes`].

mod cells;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod guard;
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
#[path = "mapped/unguarded.rs"]
mod guard;
mod mapping;
mod table;

pub use cells::Cells;
pub use guard::MappedOwner;
pub use mapping::{MappedBytes, WeakBytes};
