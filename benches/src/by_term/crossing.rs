//! Where scatter by term becomes the cheaper way.

/// Up to which length of posting lists scatter by term is cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UpTo {
    /// At no length that was seen.
    Never,
    /// Up to this many postings of all terms together.
    Postings(u64),
    /// At every length that was seen.
    Always,
}

/// The length that parts the searches best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crossing {
    pub(super) up_to: UpTo,
    /// Share of the searches that stand on the side where they belong, 0 to 1.
    pub(super) share: f64,
}

/// Finds the length that parts best the searches for which scatter by term is cheaper (`true`) from the
/// others; each search is given with its length. `None` for no searches.
///
/// The shortest of equally good lengths is taken: it claims the least.
pub(super) fn crossing(searches: &[(u64, bool)]) -> Option<Crossing> {
    let mut searches = searches.to_vec();
    searches.sort_unstable();
    let longest = searches.last()?.0;
    let num_cheaper = searches
        .iter()
        .filter(|(_, is_cheaper)| *is_cheaper)
        .count();
    // All on the far side: the others are where they belong.
    let mut right = searches.len() - num_cheaper;
    let mut best = (right, UpTo::Never);
    for (at, (length, is_cheaper)) in searches.iter().enumerate() {
        // One more on the near side.
        right = if *is_cheaper { right + 1 } else { right - 1 };
        let is_last_of_length = searches.get(at + 1).is_none_or(|next| next.0 > *length);
        if is_last_of_length && right > best.0 {
            let is_all = *length == longest;
            best = (
                right,
                if is_all {
                    UpTo::Always
                } else {
                    UpTo::Postings(*length)
                },
            );
        }
    }
    Some(Crossing {
        up_to: best.1,
        share: best.0 as f64 / searches.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_that_parts_best_is_found_and_says_how_well() {
        let clean = [(9, false), (1, true), (5, false), (3, true)];
        let found = crossing(&clean).expect("four searches");
        assert_eq!((found.up_to, found.share), (UpTo::Postings(3), 1.0));
        let mixed = [(1, true), (2, false), (3, true), (4, true), (5, false)];
        let found = crossing(&mixed).expect("five searches");
        assert_eq!((found.up_to, found.share), (UpTo::Postings(4), 0.8));
    }

    #[test]
    fn searches_on_one_side_have_no_crossing() {
        let all = |is_cheaper| [(1, is_cheaper), (1, is_cheaper), (7, is_cheaper)];
        let of = |is_cheaper| crossing(&all(is_cheaper)).map(|found| (found.up_to, found.share));
        assert_eq!(of(true), Some((UpTo::Always, 1.0)));
        assert_eq!(of(false), Some((UpTo::Never, 1.0)));
        assert_eq!(crossing(&[]), None);
    }

    #[test]
    fn searches_of_one_length_stay_together() {
        let found = crossing(&[(2, true), (2, false), (2, true), (8, false)]);
        let found = found.expect("four searches");
        assert_eq!((found.up_to, found.share), (UpTo::Postings(2), 0.75));
    }
}
