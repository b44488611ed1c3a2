//! No document scores more than its bounds, whatever the averages, k1 and b.

use proptest::prelude::*;

use super::*;

fn longest_of(id: u8) -> u32 {
    length_of(usize::from(id) + 1) - 1
}

/// Documents that f32 can hardly tell apart: they hold the term over and over.
fn full_block() -> impl Strategy<Value = Vec<(u8, u32)>> {
    // From this one on texts are that long.
    let ids = 70u8..90;
    assert!(longest_of(ids.start) >= 254);
    let document = (ids, 200..255_u32);
    proptest::collection::vec(document, 2..40)
}

/// Documents of a block: norm ids and frequencies, at most as large as the length allows.
fn block() -> impl Strategy<Value = Vec<(u8, u32)>> {
    let document = (1u8..160, 0.0..1.0_f64).prop_map(|(id, share)| {
        let frequency = 1.0 + (share * f64::from(longest_of(id) - 1)).floor();
        (id, frequency as u32)
    });
    proptest::collection::vec(document, 1..40)
}

/// Numbers of Lucene's, others near them, and such as nobody would choose.
fn similarity() -> impl Strategy<Value = Bm25> {
    let k1 = prop_oneof![
        Just(1.2),
        Just(0.0),
        0.0..3.0_f64,
        (-9.0..5.0_f64).prop_map(|exponent| 10_f64.powf(exponent)),
    ];
    let b = prop_oneof![Just(0.75), Just(0.0), Just(1.0), 0.0..1.0_f64];
    (k1, b).prop_map(|(k1, b)| Bm25::new(k1, b).expect("in range"))
}

/// The pair that tantivy stores of a block, as the skip entry holds it.
fn stored(block: &[(u8, u32)], average: f64) -> (u8, u32) {
    let norms = LengthNorms::new(STORED, average);
    let value = |&(id, tf): &(u8, u32)| tf as f32 / (tf as f32 + norms.rounded()[usize::from(id)]);
    let best = block.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
    let (id, frequency) = *best.expect("a block has documents");
    (id, if frequency < 255 { frequency } else { u32::MAX })
}

/// Checks that the bounds of a block hold for its documents.
fn check_block(
    (similarity, weight): (Bm25, f64),
    (segment_average, global_average): (f64, f64),
    block: &[(u8, u32)],
) -> Result<(), TestCaseError> {
    let ids: Vec<u8> = block.iter().map(|&(id, _)| id).collect();
    let lengths = Lengths {
        average: segment_average,
        shortest: *ids.iter().min().unwrap(),
        longest: *ids.iter().max().unwrap(),
    };
    let global = LengthNorms::new(similarity, global_average);
    prop_assert!(Scale::is_bounded(weight, &global));
    let bound = BlockBound::new(lengths, &global);
    let scale = Scale::new(weight, &global, &ids, bound.as_ref());
    let ceiling = scale.of_block(Some(stored(block, segment_average)));
    for (doc, &(_, frequency)) in (0..).zip(block) {
        let score = scale.score(doc, frequency) as f32;
        let own = scale.of_document(doc, frequency);
        prop_assert!(
            score <= ceiling && score <= scale.most(),
            "{score} {ceiling}"
        );
        prop_assert!(least(own) <= score && score <= own, "{score} {own}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn no_document_of_a_block_exceeds_its_bounds(
        similarity in similarity(),
        segment_average in 0.5..5_000.0_f64,
        global_average in 0.5..5_000.0_f64,
        block in block(),
        weight in 1e-6..1e6_f64,
    ) {
        check_block((similarity, weight), (segment_average, global_average), &block)?;
    }

    #[test]
    fn nor_does_one_that_tantivy_cannot_tell_from_the_best(
        similarity in similarity(),
        exponent in 3.0..7.0_f64,
        global_average in 0.5..500.0_f64,
        block in full_block(),
    ) {
        check_block((similarity, 1.0), (10_f64.powf(exponent), global_average), &block)?;
    }

    #[test]
    fn what_is_selected_holds_all_that_reach_the_need(
        similarity in similarity(),
        average in 0.5..5_000.0_f64,
        block in block(),
        share in prop_oneof![Just(f32::NEG_INFINITY), -0.1..1.1_f32],
        is_bounded in proptest::bool::ANY,
    ) {
        let ids: Vec<u8> = block.iter().map(|&(id, _)| id).collect();
        let frequencies: Vec<u32> = block.iter().map(|&(_, tf)| tf).collect();
        let documents: Vec<u32> = (0..ids.len() as u32).collect();
        let norms = LengthNorms::new(similarity, average);
        let lengths = Lengths {
            average: average * 1.5,
            shortest: *ids.iter().min().unwrap(),
            longest: *ids.iter().max().unwrap(),
        };
        let bound = BlockBound::new(lengths, &norms).filter(|_| is_bounded);
        let scale = Scale::new(3.0, &norms, &ids, bound.as_ref());
        let need = share * scale.most();
        let mut selected = [0; 128];
        let num_selected = scale.select(&documents, &frequencies, need, &mut selected);
        let selected = &selected[..num_selected];
        for (position, (&doc, &frequency)) in documents.iter().zip(&frequencies).enumerate() {
            let is_selected = selected.contains(&(position as u8));
            let score = scale.score(doc, frequency) as f32;
            prop_assert!(is_selected || score < need);
            prop_assert!(!is_selected || f64::from(score) >= f64::from(need) * (1.0 - 1e-3));
        }
    }
}

#[test]
fn equal_averages_bound_a_block_by_its_best_document() {
    let lengths = Lengths {
        average: 200.0,
        shortest: 5,
        longest: 120,
    };
    let global = LengthNorms::new(Bm25::DEFAULT, 200.0);
    let bound = BlockBound::new(lengths, &global).unwrap();
    let ids = [40];
    let scale = Scale::new(1.0, &global, &ids, Some(&bound));
    let (ceiling, score) = (scale.of_block(Some((40, 7))), scale.score(0, 7) as f32);
    assert!(ceiling >= score && ceiling < score * 1.0001);
}

#[test]
fn weights_and_norms_that_f32_cannot_tell_are_refused() {
    let norms = |k1, average| LengthNorms::new(Bm25::new(k1, 0.75).expect("in range"), average);
    assert!(Scale::is_bounded(1.0, &norms(1.2, 1.0)));
    assert!(
        Scale::is_bounded(1e19, &norms(1.2, 1.0)) && !Scale::is_bounded(1e19, &norms(99.0, 1.0))
    );
    assert!(
        !Scale::is_bounded(0.0, &norms(1.2, 1.0)) && !Scale::is_bounded(1e-21, &norms(1.2, 1.0))
    );
    assert!(
        !Scale::is_bounded(1.0, &norms(1e10, 1.0)) && !Scale::is_bounded(1.0, &norms(1.2, 1e-9))
    );
}

#[test]
fn without_saturation_every_document_scores_the_bound() {
    let lengths = Lengths {
        average: 200.0,
        shortest: 5,
        longest: 120,
    };
    let global = LengthNorms::new(Bm25::new(0.0, 0.75).expect("in range"), 200.0);
    let bound = BlockBound::new(lengths, &global).unwrap();
    let ids = [5, 120];
    let scale = Scale::new(3.0, &global, &ids, Some(&bound));
    assert_eq!((scale.score(0, 1), scale.score(1, 9)), (3.0, 3.0));
    assert_eq!(scale.of_block(Some((120, 1))), scale.most());
}

#[test]
fn unknown_averages_leave_only_the_bound_of_the_list() {
    let lengths = Lengths {
        average: 0.0,
        shortest: 1,
        longest: 1,
    };
    let global = LengthNorms::new(Bm25::DEFAULT, 5.0);
    assert!(BlockBound::new(lengths, &global).is_none());
    let scale = Scale::new(1.0, &global, &[], None);
    assert_eq!(scale.of_block(Some((1, 1))), scale.most());
}

#[test]
fn slack_lets_pass_what_is_close() {
    let slack = Slack::of(3);
    assert!(slack.may_reach(2.5, 2.5) && !slack.may_reach(2.4, 2.5));
}

#[test]
fn norms_stand_for_the_lengths_that_tantivy_writes() {
    for id in 0..=u8::MAX {
        let written = tantivy::fieldnorm::FieldNormReader::id_to_fieldnorm(id);
        assert_eq!(length_of(usize::from(id)), written, "{id}");
    }
}
