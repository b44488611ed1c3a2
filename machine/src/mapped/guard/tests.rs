//! Files that are cut while they are mapped.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use super::super::Cells;
use super::*;

/// Says that the test is the process that is to die.
const CHILD: &str = "DIES_BY_SIGBUS";

fn is_cut(cells: &Cells) -> bool {
    let address = cells.all().as_ptr() as usize;
    let range = RANGES.iter().find_map(|range| range.find(address));
    let owner = range.expect("it is watched").owner;
    OWNERS
        .get(owner)
        .expect("it has one")
        .load(Ordering::SeqCst)
}

#[test]
fn what_is_cut_off_a_mapped_file_reads_as_zeros_and_its_owner_alone_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cells");
    let num_cells = 5_000;
    let cells = Cells::create(&path, num_cells).expect("made");
    let other = Cells::create(&folder.path().join("other"), num_cells).expect("made");
    for (number, cell) in (1..).zip(cells.all()) {
        cell.store(number, Ordering::Relaxed);
        other.all()[0].store(number, Ordering::Relaxed);
    }
    assert!(!is_cut(&cells));
    let file = File::options().write(true).open(&path).expect("opens");
    file.set_len(4_096).expect("cut");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let read = scope.spawn(|| {
                let read = |at: usize| cells.all()[at].load(Ordering::Relaxed);
                [read(num_cells - 1), read(3_000), read(0), read(511)]
            });
            assert_eq!(read.join().expect("it lives"), [0, 0, 1, 512]);
        }
    });
    assert!(is_cut(&cells) && !is_cut(&other));
    cells.all()[4_000].store(9, Ordering::Relaxed);
    assert_eq!(cells.all()[4_000].load(Ordering::Relaxed), 9);
    let range = cells.all().as_ptr() as usize;
    drop(cells);
    assert!(RANGES.iter().all(|of| of.find(range).is_none()));
}

#[test]
fn a_signal_that_is_for_no_file_still_ends_the_process() {
    if std::env::var_os(CHILD).is_some() {
        let owner = MappedOwner::new();
        assert!(!owner.is_cut());
        // The standard library's handler lets the first one be the default's.
        for _ in 0..2 {
            raise();
        }
        return;
    }
    let name = "mapped::guard::tests::a_signal_that_is_for_no_file_still_ends_the_process";
    let program = std::env::current_exe().expect("this one");
    let ran = Command::new(program)
        .args(["--exact", name, "--test-threads=1"])
        .env(CHILD, "1")
        .output();
    let ended = ran.expect("it runs").status;
    assert_eq!(ended.signal(), Some(libc::SIGBUS), "{ended}");
}

#[expect(unsafe_code, reason = "the signal is what is tested")]
fn raise() {
    // SAFETY: the handler of the signal is the one that is tested.
    unsafe { libc::raise(libc::SIGBUS) };
}
