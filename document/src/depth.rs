//! How deep a document is nested: what the mapping leaves out is passed over without being entered, so the
//! JSON reader's own bound does not hold there, and later looks into `_source` go down all of it.

/// Levels of objects and arrays that a document may have, itself counted: as many as the JSON reader enters.
pub(super) const MAX_LEVELS: usize = 127;

/// Returns whether a document, which is JSON, has more levels than that.
pub(super) fn is_too_deep(source: &[u8]) -> bool {
    // Each level takes two bytes.
    if source.len() <= 2 * MAX_LEVELS {
        return false;
    }
    if num_opens(source) <= MAX_LEVELS {
        return false;
    }
    let mut level = 0_usize;
    let mut bytes = source.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_text(&mut bytes),
            b'{' | b'[' => {
                level += 1;
                if level > MAX_LEVELS {
                    return true;
                }
            }
            b'}' | b']' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Returns how many levels would begin if none stood in texts: of most documents too few, which takes a
/// moment to find out. Counted in bytes, many at once.
fn num_opens(source: &[u8]) -> usize {
    let opens = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
    let of_block = |block: &[u8]| block.iter().map(opens).fold(0, u8::wrapping_add);
    let blocks = source.chunks(64);
    blocks.map(|block| usize::from(of_block(block))).sum()
}

/// Goes behind the end of a text that has begun.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}
