//! Mappings of files, made and given back.
//!
//! `unsafe`, as no library maps a file without it, and tantivy's mappings end unseen: a range that is watched must be
//! forgotten before its addresses are those of something else.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd as _;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};

use stable_deref_trait::StableDeref;

use super::guard::{MappedOwner, Watched};

/// A whole file as memory; unmapped when it is dropped.
#[derive(Debug)]
struct Mapping {
    /// `None` once it is given back.
    watched: Option<Watched>,
    start: NonNull<u8>,
    /// Bytes, ≥ 1.
    len: usize,
}

#[expect(
    unsafe_code,
    reason = "the memory is shared by an address (see the head)"
)]
// SAFETY: the address is that of memory which the value alone gives back, on any thread. It is read as bytes that nobody
// here writes, or read and written as atomics.
unsafe impl Send for Mapping {}
#[expect(
    unsafe_code,
    reason = "the memory is shared by an address (see the head)"
)]
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Mapping {
    #[expect(unsafe_code, reason = "a call of the system (see the head)")]
    fn new(
        file: &File,
        len: usize,
        owner: &Arc<MappedOwner>,
        is_written: bool,
    ) -> io::Result<Self> {
        let rights = match is_written {
            true => libc::PROT_READ | libc::PROT_WRITE,
            false => libc::PROT_READ,
        };
        let (anywhere, file) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: the kernel chooses where, so nothing of ours is replaced; the file is open during the call.
        let start = unsafe { libc::mmap(anywhere, len, rights, libc::MAP_SHARED, file, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast());
        let start = start.ok_or_else(|| io::Error::other("a file was mapped at address 0"))?;
        let watched = Watched::begin(start.as_ptr() as usize, len, owner, is_written);
        Ok(Self {
            watched: Some(watched),
            start,
            len,
        })
    }
}

impl Drop for Mapping {
    #[expect(unsafe_code, reason = "a call of the system (see the head)")]
    fn drop(&mut self) {
        // First: its addresses may be those of something else at once.
        self.watched = None;
        // SAFETY: the range is that which the kernel gave; nobody borrows of it, as the value is dropped.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The bytes of a mapped file; cheap to clone. Where the file does not hold some of them any more zeros are read, and
/// the owner is told.
#[derive(Debug, Clone)]
pub struct MappedBytes(Option<Arc<Mapping>>);

/// The same, not held: see [`MappedBytes::downgrade`].
#[derive(Debug)]
pub struct WeakBytes(Weak<Mapping>);

impl MappedBytes {
    /// Maps a file as long as it is now, for `owner`.
    ///
    /// # Errors
    /// What the system says.
    pub fn of(file: &File, owner: &Arc<MappedOwner>) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len());
        let len = len.map_err(|_| io::ErrorKind::FileTooLarge)?;
        // The system maps no empty file.
        let mapping = (len > 0).then(|| Mapping::new(file, len, owner, false));
        Ok(Self(mapping.transpose()?.map(Arc::new)))
    }

    /// Returns what finds the mapping again as long as somebody holds it.
    pub fn downgrade(&self) -> WeakBytes {
        WeakBytes(self.0.as_ref().map_or_else(Weak::new, Arc::downgrade))
    }
}

impl WeakBytes {
    /// Returns the mapping if somebody holds it.
    pub fn upgrade(&self) -> Option<MappedBytes> {
        self.0.upgrade().map(|mapping| MappedBytes(Some(mapping)))
    }

    /// Returns whether somebody holds it.
    pub fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Deref for MappedBytes {
    type Target = [u8];

    #[expect(unsafe_code, reason = "memory that no library owns (see the head)")]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: so many bytes are mapped from there, for as long as the mapping lives, which is borrowed. Nobody in
            // this process writes them; another may write the file, as with any map of a file: decision 0030 has how that
            // is found. Where the file is cut zeros take their place.
            Some(mapping) => unsafe {
                std::slice::from_raw_parts(mapping.start.as_ptr(), mapping.len)
            },
            None => &[],
        }
    }
}

#[expect(
    unsafe_code,
    reason = "who keeps slices beside their owner asks for the promise"
)]
// SAFETY: the bytes stay where the kernel has mapped them until the last clone is dropped, wherever the value moves, and
// `deref` always gives the same ones.
unsafe impl StableDeref for MappedBytes {}

/// The numbers of a mapped file, which are read and written.
#[derive(Debug)]
pub(super) struct MappedNumbers(Mapping);

impl MappedNumbers {
    /// Maps a file that holds so many numbers, ≥ 1.
    pub(super) fn of(file: &File, num_cells: usize) -> io::Result<Self> {
        let len = num_cells * size_of::<AtomicU64>();
        Ok(Self(Mapping::new(file, len, &MappedOwner::new(), true)?))
    }

    #[expect(unsafe_code, reason = "memory that no library owns (see the head)")]
    pub(super) fn all(&self) -> &[AtomicU64] {
        let num_cells = self.0.len / size_of::<AtomicU64>();
        // SAFETY: so many numbers are mapped from there for as long as the mapping lives, which is borrowed, at a page's
        // begin, so aligned. Whatever bits they have are a number, and nothing but this gives them out. Where the file is
        // cut zeros take their place.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr().cast(), num_cells) }
    }
}
