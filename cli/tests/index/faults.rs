//! Single items that fail for another reason than their document.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::{
    Desk, gleaner, load, numbers,
    server::{Reply, Server},
};

#[test]
fn a_blocked_index_stops_the_load_and_refuses_nothing() {
    for (status, kind) in [
        (403, "cluster_block_exception"),
        (400, "index_closed_exception"),
        (404, "index_not_found_exception"),
        (403, "security_exception"),
    ] {
        let (server, desk) = (Server::start(), Desk::new());
        let file = desk.numbered("a.ndjson", 30);
        let (checkpoint, dead) = (desk.path("load.checkpoint"), desk.path("dead.ndjson"));
        let arguments = [
            "--checkpoint",
            checkpoint.to_str().expect("a name"),
            "--dead-letter",
            dead.to_str().expect("a name"),
            "--batch-docs",
            "10",
            "--parallel",
            "1",
        ];
        server.reply_next([Reply::Normal, Reply::FailFirst(status, kind)]);
        let (code, said) = load(&server, &arguments, &[&file]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(&format!("index `books`: {kind}")), "{said}");
        assert_eq!(server.request_sizes(), [10, 10], "it goes no further");
        assert_eq!(numbers(&server).len(), 19);
        assert_eq!(fs::read_to_string(&dead).expect("there"), "");

        let (code, said) = load(&server, &arguments, &[&file]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(numbers(&server), (0..30).collect::<Vec<_>>());
    }
}

#[test]
fn an_item_that_the_server_failed_at_is_sent_again() {
    let (server, desk) = (Server::start(), Desk::new());
    server.reply_next([Reply::FailFirst(500, "exception")]);
    let file = desk.numbered("a.ndjson", 3);
    let (code, said) = load(&server, &[], &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), [0, 1, 2]);
    assert_eq!(server.request_sizes(), [3, 1]);
}

#[test]
fn a_document_whose_outcome_is_unknown_is_not_doubled() {
    let (server, desk) = (Server::start(), Desk::new());
    server.reply_next([Reply::ApplyAndForget]);
    let file = desk.numbered("a.ndjson", 3);
    let (code, said) = load(&server, &[], &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(server.request_sizes(), [3, 1]);
    assert_eq!(numbers(&server), [0, 1, 2]);
    assert!(said.contains("indexed 3 documents"), "{said}");
}

#[test]
fn updates_that_are_too_large_together_are_split() {
    let (server, desk) = (Server::start(), Desk::new());
    let update = |n: usize| format!("{{\"update\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{n}}}\n");
    let others = "{\"index\":{\"_id\":\"9\"}}\n{\"n\":9}\n".to_owned();
    let file = desk.write("a.bulk", others + &(0..5).map(update).collect::<String>());
    server.limit_updates(2);
    let (code, said) = load(&server, &[], &[&file]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(numbers(&server), [0, 1, 2, 3, 4, 9]);
    assert_eq!(server.request_sizes(), [6, 2, 3, 1, 2]);

    server.limit_updates(0);
    let (code, said) = load(&server, &["--batch-docs", "2"], &[&file]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("5 refused"), "each alone: {said}");
}

#[test]
fn a_creation_that_an_earlier_run_may_have_made_is_refused_as_such() {
    let (server, desk) = (Server::start(), Desk::new());
    let create = |n: usize| format!("{{\"create\":{{\"_id\":\"{n}\"}}}}\n{{\"n\":{n}}}\n");
    let file = desk.write("a.bulk", (0..4).map(create).collect::<String>());
    let checkpoint = desk.path("load.checkpoint");
    let checkpoint = checkpoint.to_str().expect("a name");
    let flags = ["--batch-docs", "2", "--parallel", "1"];
    let resumable = [&flags[..], &["--checkpoint", checkpoint]].concat();
    server.reply_next([Reply::Normal, Reply::ApplyAndHang]);
    server.reply_always(Reply::Status(403, None));
    let (code, said) = load(&server, &resumable, &[&file]);
    assert_eq!(code, 1, "{said}");

    server.forget_requests();
    server.reply_always(Reply::Normal);
    let hint = "an earlier run of this load may have created it";
    let (code, said) = load(&server, &resumable, &[&file]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(said.matches(hint).count(), 2, "{said}");

    let (code, said) = load(&server, &flags, &[&file]);
    assert_eq!(code, 3, "{said}");
    assert!(!said.contains(hint) && said.contains("4 refused"), "{said}");
}

#[test]
fn what_comes_by_a_pipe_is_sent_while_the_pipe_is_open() {
    let server = Server::start();
    let mut loading = gleaner(&server, &[])
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut input = loading.stdin.take().expect("a pipe");
    for number in 0..3 {
        writeln!(input, "{{\"n\":{number}}}").expect("it reads");
        server.wait_for_requests(number + 1);
    }
    drop(input);
    assert!(loading.wait().expect("it ends").success());
    assert_eq!(numbers(&server), [0, 1, 2]);
    assert_eq!(server.request_sizes(), [1, 1, 1]);
}
