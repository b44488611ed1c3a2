//! Whatever is sent arrives as it was.

use proptest::prelude::*;

use super::answers::{
    documents, expand_answer, explain_answer, explanation, fault, fetched_hits, follow_answer,
    generation, node_info, outcome, readiness, shard_hits, shard_state, shown, snapshot,
    statistics_answer, write_answer, write_fault,
};
use super::calls::{
    bytes, expand_call, explain_call, fetch_call, file_call, follow_call, generations_call,
    get_call, open_views_call, pinned_view, search_call, snapshot_call, statistics_call,
    write_call,
};
use super::clauses::{clause, value};
use super::comes_back;
use super::node_stats::node_stats;
use super::queries::shard_query;
use crate::tests::samples;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn queries(clause in clause(), query in shard_query(), value in value()) {
        comes_back(&clause);
        comes_back(&query);
        comes_back(&value);
    }

    #[test]
    fn calls_of_the_query_phase(
        statistics in statistics_call(),
        expand in expand_call(),
        search in search_call(),
    ) {
        comes_back(&statistics);
        comes_back(&expand);
        comes_back(&search);
    }

    #[test]
    fn messages_of_copies(num_bytes in 0_usize..2_000) {
        samples::follower_messages().iter().for_each(comes_back);
        samples::primary_messages(num_bytes).iter().for_each(comes_back);
    }

    #[test]
    fn leases(call in follow_call(), answer in follow_answer()) {
        comes_back(&call);
        comes_back(&answer);
    }

    #[test]
    fn calls_for_documents(
        fetch in fetch_call(),
        explain in explain_call(),
        get in get_call(),
        write in write_call(),
    ) {
        comes_back(&fetch);
        comes_back(&explain);
        comes_back(&get);
        comes_back(&write);
    }

    #[test]
    fn calls_about_shards(
        views in open_views_call(),
        generations in generations_call(),
        snapshot in snapshot_call(),
        file in file_call(),
    ) {
        comes_back(&views);
        comes_back(&generations);
        comes_back(&snapshot);
        comes_back(&file);
    }

    #[test]
    fn answers_of_the_query_phase(
        statistics in outcome(statistics_answer()),
        expand in outcome(expand_answer()),
        search in outcome(shard_hits()),
    ) {
        comes_back(&statistics);
        comes_back(&expand);
        comes_back(&search);
    }

    #[test]
    fn answers_with_documents(
        fetched in outcome(fetched_hits()),
        explained in outcome(explain_answer()),
        got in outcome(documents()),
        written in outcome(write_answer()),
    ) {
        comes_back(&fetched);
        comes_back(&explained);
        comes_back(&got);
        comes_back(&written);
    }

    #[test]
    fn answers_about_shards(
        pinned in outcome(pinned_view()),
        refreshed in outcome(generation()),
        shown in outcome(shown()),
        done in outcome(Just(())),
        state in shard_state(),
    ) {
        comes_back(&pinned);
        comes_back(&refreshed);
        comes_back(&shown);
        comes_back(&done);
        comes_back(&state);
    }

    #[test]
    fn answers_to_copies(
        snapshot in outcome(snapshot()),
        file in outcome(bytes()),
    ) {
        comes_back(&snapshot);
        comes_back(&file);
    }

    #[test]
    fn faults_and_nodes(
        leaf in fault(),
        write in write_fault(),
        info in node_info(),
        stats in node_stats(),
        readiness in readiness(),
        explanation in explanation(),
    ) {
        comes_back(&leaf);
        comes_back(&write);
        comes_back(&info);
        comes_back(&stats);
        comes_back(&readiness);
        comes_back(&explanation);
    }
}
