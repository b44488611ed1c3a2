//! Gzip as files hold it: members one after another, padded with zeros where blocks were filled up.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// Unpacks all members of a stream. Behind a member, zeros are skipped; whatever else is no member is
/// an error.
pub(super) struct Members<R> {
    /// The member that is read; `None` behind the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    /// Begins with the first member of `reader`.
    pub(super) fn new(reader: R) -> Self {
        Self {
            member: Some(GzDecoder::new(reader)),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let num_bytes = member.read(buffer)?;
            if num_bytes > 0 {
                return Ok(num_bytes);
            }
            let has_another = skip_zeros(member.get_mut())?;
            let ended = self.member.take().filter(|_| has_another);
            self.member = ended.map(|ended| GzDecoder::new(ended.into_inner()));
        }
        Ok(0)
    }
}

/// Skips zeros; returns whether anything follows.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        let num_bytes = buffer.len();
        let num_zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        reader.consume(num_zeros);
        if num_bytes == 0 || num_zeros < num_bytes {
            return Ok(num_bytes > 0);
        }
    }
}
