//! Leaves in containers that are killed, paused and cut off, and companions from the image: real processes, a real
//! network.
//!
//! Needs Docker and an image of the binary, named by `GLEANER_IMAGE`, so the tests are ignored unless
//! asked for; `cargo xtask test --only containers` makes the image and runs them.

mod asked;
mod companions;
mod compose;
mod drill;
mod fleet;
mod load;
mod patterns;
mod project;

use anyhow::Result;

use fleet::Fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_killed_leaf_costs_no_answer_and_no_acknowledged_document() -> Result<()> {
    drill::run(Fault::Kill).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_paused_leaf_costs_no_answer_and_no_acknowledged_document() -> Result<()> {
    drill::run(Fault::Pause).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_leaf_cut_off_costs_no_answer_and_no_acknowledged_document() -> Result<()> {
    drill::run(Fault::Cut).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn what_compose_loaded_is_there_after_down_and_up() -> Result<()> {
    compose::run("what_compose_loaded_is_there_after_down_and_up").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_service_without_tls_is_reached_over_tls_through_its_sidecar() -> Result<()> {
    patterns::sidecar("a_service_without_tls_is_reached_over_tls_through_its_sidecar").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_redis_is_seen_as_metrics_and_lines_through_its_adapter() -> Result<()> {
    patterns::adapter("a_redis_is_seen_as_metrics_and_lines_through_its_adapter").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn a_program_that_knows_one_redis_outlives_one_of_three_by_its_ambassador() -> Result<()> {
    patterns::ambassador("a_program_that_knows_one_redis_outlives_one_of_three_by_its_ambassador")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs Docker and an image: `cargo xtask test --only containers`"]
async fn companions_from_the_image_are_healthy_and_do_what_they_are_for() -> Result<()> {
    companions::run().await
}
