//! The handler of `SIGBUS`, and the ranges of memory that it knows.
//!
//! `unsafe`, as no library has it: a handler can only be installed, and a page only be replaced, by calls of the system. It
//! costs a handful of stores for a file that is opened or closed, and nothing where files are read. Decision 0030 says why
//! neither the length that is looked at before, nor a copy of the bytes, would do.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::table::Table;

/// A range of memory that is the content of a file.
#[derive(Default)]
struct Range {
    /// Odd while the rest changes.
    version: AtomicU64,
    /// First byte; 0 where it is nobody's.
    start: AtomicUsize,
    /// Byte after the last one.
    end: AtomicUsize,
    /// Place of the owner's flag.
    owner: AtomicUsize,
    /// Whether who has it writes it, too.
    is_written: AtomicBool,
}

/// What is told of a range that holds an address.
struct Found {
    end: usize,
    owner: usize,
    is_written: bool,
}

static RANGES: Table<Range> = Table::new();
static OWNERS: Table<AtomicBool> = Table::new();

/// What is known since the handler was installed.
struct Installed {
    page_bytes: usize,
    /// Who handled the signal before.
    before: libc::sigaction,
}

static INSTALLED: OnceLock<Option<Installed>> = OnceLock::new();

impl Range {
    fn set(&self, start: usize, end: usize, owner: usize, is_written: bool) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.start.store(start, Ordering::SeqCst);
        self.end.store(end, Ordering::SeqCst);
        self.owner.store(owner, Ordering::SeqCst);
        self.is_written.store(is_written, Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns what the range is if it holds `address`. One that changes meanwhile does not: who reads an address holds
    /// its range.
    fn find(&self, address: usize) -> Option<Found> {
        let version = self.version.load(Ordering::SeqCst);
        let start = self.start.load(Ordering::SeqCst);
        let found = Found {
            end: self.end.load(Ordering::SeqCst),
            owner: self.owner.load(Ordering::SeqCst),
            is_written: self.is_written.load(Ordering::SeqCst),
        };
        let is_stable = version.is_multiple_of(2) && self.version.load(Ordering::SeqCst) == version;
        let holds = start != 0 && (start..found.end).contains(&address);
        (is_stable && holds).then_some(found)
    }
}

/// Who has mapped files, and is told when one of them was cut: an opened folder. Share it by `Arc`.
#[derive(Debug)]
pub struct MappedOwner {
    flag: Option<usize>,
}

impl MappedOwner {
    /// Returns an owner without files. The first one of a process has it handle `SIGBUS`.
    pub fn new() -> Arc<Self> {
        let is_installed = INSTALLED.get_or_init(install).is_some();
        let flag = is_installed.then(|| OWNERS.take()).flatten();
        let owner = Self { flag };
        if let Some(is_cut) = owner.flag() {
            is_cut.store(false, Ordering::SeqCst);
        }
        Arc::new(owner)
    }

    fn flag(&self) -> Option<&'static AtomicBool> {
        OWNERS.get(self.flag?)
    }

    /// Returns whether bytes of a file were not there when they were read, at any time: zeros were read instead.
    pub fn is_cut(&self) -> bool {
        self.flag().is_some_and(|flag| flag.load(Ordering::SeqCst))
    }
}

impl Drop for MappedOwner {
    fn drop(&mut self) {
        // Ranges hold their owner: none names it any more.
        if let Some(flag) = self.flag {
            OWNERS.give_back(flag);
        }
    }
}

/// A range that is watched until this is dropped, which is to be before it is mapped no more.
#[derive(Debug)]
pub(super) struct Watched {
    range: Option<usize>,
    _owner: Arc<MappedOwner>,
}

impl Watched {
    /// Begins to watch `len` bytes from `start` on, the content of a mapped file.
    pub(super) fn begin(
        start: usize,
        len: usize,
        owner: &Arc<MappedOwner>,
        is_written: bool,
    ) -> Self {
        let taken = owner.flag.filter(|_| len > 0);
        let taken = taken.and_then(|flag| Some((RANGES.take()?, flag)));
        if let Some((index, flag)) = taken
            && let Some(range) = RANGES.get(index)
        {
            range.set(start, start + len, flag, is_written);
        }
        Self {
            range: taken.map(|(index, _)| index),
            _owner: Arc::clone(owner),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(index) = self.range {
            if let Some(range) = RANGES.get(index) {
                range.set(0, 0, 0, false);
            }
            RANGES.give_back(index);
        }
    }
}

/// Has the process handle the signal; `None` where the system refuses that.
#[expect(
    unsafe_code,
    reason = "no library installs a handler that gets the address (see the head)"
)]
fn install() -> Option<Installed> {
    // SAFETY: `sysconf` reads nothing of ours.
    let page_bytes = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    // SAFETY: `sigaction` is numbers and an optional address, for which zeros are values: no flags, no signals, none.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_bus as *const () as usize;
    // On the stack that the standard library gives each thread for signals, where there is one.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: both addresses are of values of that type, which outlive the call. The handler is a function of the signature
    // that `SA_SIGINFO` asks for, calls only what is safe in a handler, and stays for the life of the process.
    let failed = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, before.as_mut_ptr()) };
    if failed != 0 {
        return None;
    }
    // SAFETY: the call filled it in, and zeros are values besides.
    let before = unsafe { before.assume_init() };
    Some(Installed { page_bytes, before })
}

/// Replaces what is gone of a file by zeros; what else the signal is sent for goes to who handled it before.
///
/// Safe in a handler: it reads atomics, takes no lock, does not allocate, and asks the kernel by bare calls. `errno` is
/// left as it was.
#[expect(
    unsafe_code,
    reason = "a handler gets and passes on addresses (see the head)"
)]
extern "C" fn on_bus(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` the address of a whole `siginfo_t`; for this signal from the
    // kernel, which positive codes say, its union holds an address.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    // SAFETY: the address is that of this thread's own number.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let number = unsafe { *errno };
    if code <= 0 || !replace(address) {
        pass_on(signal, info, context);
    }
    // SAFETY: as above.
    unsafe { *errno = number };
}

/// Puts zeros where a file that is watched holds nothing any more, from the page of `address` to its end; returns
/// whether the address is in one.
#[expect(
    unsafe_code,
    reason = "only the system's call replaces pages (see the head)"
)]
fn replace(address: usize) -> bool {
    // While it is being installed nobody holds a range yet.
    let Some(Some(installed)) = INSTALLED.get() else {
        return false;
    };
    let mut found = None;
    for range in RANGES.iter() {
        if let Some(of) = range.find(address) {
            // Before the zeros are there: who reads them sees the flag afterwards.
            if let Some(is_cut) = OWNERS.get(of.owner) {
                is_cut.store(true, Ordering::SeqCst);
            }
            found = Some(of);
        }
    }
    let Some(found) = found else {
        return false;
    };
    let page = address - address % installed.page_bytes;
    let len = found.end.next_multiple_of(installed.page_bytes) - page;
    let rights = match found.is_written {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_READ,
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: the pages are those of a mapping of a file from the page that cannot be read up to its end. The thread that
    // reads the address holds that mapping, so it is not unmapped meanwhile, and its range was whole when it was read. What
    // lies there may change under its readers anyhow, as a file may be written to; zeros are values of bytes and of atomic
    // numbers. A bare call: the C library's may take a lock.
    let mapped = unsafe {
        libc::syscall(
            libc::SYS_mmap,
            page,
            len,
            libc::c_long::from(rights),
            libc::c_long::from(flags),
            libc::c_long::from(-1_i32),
            libc::c_long::from(0_i32),
        )
    };
    mapped == page as libc::c_long
}

/// Has who handled the signal before do so; where nobody did the process ends by it.
#[expect(
    unsafe_code,
    reason = "the handler before is called by its address (see the head)"
)]
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    type Plain = extern "C" fn(c_int);
    let before = INSTALLED.get().and_then(Option::as_ref);
    let before = before.map(|installed| installed.before);
    match before {
        Some(before) if ![libc::SIG_DFL, libc::SIG_IGN].contains(&before.sa_sigaction) => {
            if before.sa_flags & libc::SA_SIGINFO != 0 {
                // SAFETY: who installed it said by the flag that it has this signature.
                let handler: WithInfo = unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal, info, context);
            } else {
                // SAFETY: without the flag it has this one.
                let handler: Plain = unsafe { std::mem::transmute(before.sa_sigaction) };
                handler(signal);
            }
        }
        _ => {
            // SAFETY: zeros are the default action, and the address outlives the call. `raise` is safe in a handler; the
            // signal comes when this one has returned.
            unsafe {
                let default: libc::sigaction = std::mem::zeroed();
                libc::sigaction(signal, &raw const default, std::ptr::null_mut());
                libc::raise(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests;
