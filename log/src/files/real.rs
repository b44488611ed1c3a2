//! The machine's own file system.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::{Entry, File, Files};

/// Files of the operating system; syncs are `fdatasync`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFiles;

impl Files for RealFiles {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options().read(true).write(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn remove_empty_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir: entry.file_type()?.is_dir(),
            });
        }
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    /// On a thread for each, as a disk takes several at once: four take a third of the time so.
    fn sync_all(&self, files: &[Arc<dyn File>]) -> Vec<io::Result<()>> {
        files.chunks(MAX_SYNCS).flat_map(sync_some).collect()
    }
}

/// Files synced at once.
const MAX_SYNCS: usize = 8;

fn sync_some(files: &[Arc<dyn File>]) -> Vec<io::Result<()>> {
    let Some((own, others)) = files.split_first() else {
        return Vec::new();
    };
    std::thread::scope(|scope| {
        let begin = |file: &Arc<dyn File>| {
            let shared = file.clone();
            let begun = std::thread::Builder::new().spawn_scoped(scope, move || shared.sync());
            begun.map_err(|_| file.clone())
        };
        let others: Vec<_> = others.iter().map(begin).collect();
        let mut synced = vec![own.sync()];
        synced.extend(others.into_iter().map(|other| match other {
            Ok(thread) => {
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err(io::Error::other("a sync panicked")))
            }
            // There was no thread to be had.
            Err(file) => file.sync(),
        }));
        synced
    })
}

#[derive(Debug)]
struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
