//! The ambassador of Redis servers, against real ones: each test starts its own `redis-server`s.

mod keep;
mod memory;
mod support;

use std::time::Duration;

use support::{Ambassador, Redis};

#[tokio::test]
async fn keys_lie_on_several_servers_and_answers_are_those_of_one() {
    let servers = [
        Redis::start().await,
        Redis::start().await,
        Redis::start().await,
    ];
    let ambassador = Ambassador::start(&servers, 1).await;
    let mut client = ambassador.client().await;
    for number in 0..300 {
        let key = format!("key:{number}");
        assert_eq!(
            client.ask(&["SET", &key, &format!("value {number}")]).await,
            "OK"
        );
    }
    let mut held = Vec::new();
    for server in &servers {
        let mut direct = server.client().await;
        held.push(
            direct
                .ask(&["DBSIZE"])
                .await
                .parse::<u32>()
                .expect("a number"),
        );
    }
    assert_eq!(held.iter().sum::<u32>(), 300);
    assert!(held.iter().all(|&count| count > 60), "{held:?}");
    assert_eq!(
        client
            .ask(&["MGET", "key:1", "none", "key:2", "key:3"])
            .await,
        "[value 1,(nil),value 2,value 3]"
    );
    assert_eq!(
        client.ask(&["MSET", "a", "1", "b", "2", "c", "3"]).await,
        "OK"
    );
    assert_eq!(
        client.ask(&["EXISTS", "a", "b", "c", "a", "none"]).await,
        "4"
    );
    assert_eq!(client.ask(&["DEL", "a", "b", "none"]).await, "2");
    assert_eq!(client.ask(&["INCRBY", "c", "4"]).await, "7");
    assert_eq!(client.ask(&["SADD", "{t}1", "x", "y"]).await, "2");
    assert_eq!(client.ask(&["SADD", "{t}2", "y"]).await, "1");
    assert_eq!(client.ask(&["SINTER", "{t}1", "{t}2"]).await, "[y]");
    assert_eq!(
        client
            .ask(&["EVAL", "return redis.call('get', KEYS[1])", "1", "key:7"])
            .await,
        "value 7",
        "the servers say which arguments are keys"
    );
    assert_eq!(
        client.ask(&["GET"]).await,
        "-ERR wrong number of arguments for 'get' command"
    );
}

#[tokio::test]
async fn what_needs_one_server_is_refused_by_name() {
    let servers = [Redis::start().await, Redis::start().await];
    let ambassador = Ambassador::start(&servers, 1).await;
    let mut client = ambassador.client().await;
    for (request, wanted) in [
        (&["KEYS", "*"][..], "KEYS"),
        (&["MULTI"], "MULTI"),
        (&["SUBSCRIBE", "a"], "SUBSCRIBE"),
        (&["FLUSHALL"], "FLUSHALL"),
        (&["BLPOP", "a", "0"], "waits"),
        (&["SELECT", "1"], "only database 0"),
        (&["MOVE", "a", "1"], "only database 0"),
        (&["COPY", "{a}1", "{a}2", "DB", "1"], "only database 0"),
        (
            &["MIGRATE", "127.0.0.1", "1", "a", "0", "9"],
            "MIGRATE is for one server",
        ),
        (&["HELLO", "3"], "NOPROTO"),
        (&["NONSENSE", "a"], "unknown command 'nonsense'"),
    ] {
        let answer = client.ask(request).await;
        assert!(
            answer.starts_with('-') && answer.contains(wanted),
            "{request:?}: {answer}"
        );
    }
    let mut apart = None;
    for number in 0..64 {
        let answer = client.ask(&["SINTER", "a", &format!("b{number}")]).await;
        if answer.starts_with("-CROSSSLOT") {
            apart = Some(answer);
            break;
        }
    }
    assert!(apart.is_some_and(|answer| answer.contains("{tag}")));
    assert_eq!(
        client.ask(&["PING"]).await,
        "PONG",
        "the connection goes on"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let servers = [Redis::start().await, Redis::start().await];
    let ambassador = Ambassador::start(&servers, 1).await;
    let mut client = ambassador.client().await;
    let mut wanted = Vec::new();
    for number in 0..2_000 {
        client
            .send(&["SET", &format!("k{number}"), &number.to_string()])
            .await;
        client.send(&["GET", &format!("k{number}")]).await;
        wanted.extend(["OK".to_owned(), number.to_string()]);
    }
    for wanted in wanted {
        assert_eq!(client.answer().await, wanted);
    }
    client.send_raw(b"PING\r\n*1\r\n*1\r\n").await;
    assert_eq!(client.answer().await, "PONG");
    assert_eq!(client.answer().await, "-ERR Protocol error: expected '$'");
}

#[tokio::test]
async fn without_copies_only_the_keys_of_a_dead_server_fail() {
    let mut servers = vec![
        Redis::start().await,
        Redis::start().await,
        Redis::start().await,
    ];
    let ambassador = Ambassador::start(&servers, 1).await;
    let mut client = ambassador.client().await;
    for number in 0..90 {
        client.ask(&["SET", &format!("k{number}"), "v"]).await;
    }
    let mut direct = servers[0].client().await;
    let lost: u32 = direct.ask(&["DBSIZE"]).await.parse().expect("a number");
    let port = servers[0].port;
    drop(servers.remove(0));
    let (mut failed, mut answered) = (0, 0);
    for number in 0..90 {
        match client.ask(&["GET", &format!("k{number}")]).await.as_str() {
            "v" => answered += 1,
            error => {
                assert!(
                    error.contains(&port.to_string()),
                    "the server is named: {error}"
                );
                failed += 1;
            }
        }
    }
    assert_eq!((failed, answered), (lost, 90 - lost));
    let _back = Redis::start_at(port).await;
    ambassador.until_in(&format!("127.0.0.1:{port}")).await;
    for number in 0..90 {
        assert_eq!(client.ask(&["SET", &format!("k{number}"), "w"]).await, "OK");
    }
}

#[tokio::test]
async fn with_two_copies_a_server_may_die_and_comes_back_with_what_it_missed() {
    let mut servers = vec![
        Redis::start().await,
        Redis::start().await,
        Redis::start().await,
    ];
    let ambassador = Ambassador::start(&servers, 2).await;
    let mut client = ambassador.client().await;
    for number in 0..120 {
        assert_eq!(
            client.ask(&["SET", &format!("k{number}"), "old"]).await,
            "OK"
        );
    }
    // Stopped and not killed: it keeps its old values and answers nothing.
    servers[1].stop();
    for number in 0..120 {
        assert_eq!(client.ask(&["GET", &format!("k{number}")]).await, "old");
    }
    for number in 0..60 {
        assert_eq!(
            client.ask(&["SET", &format!("k{number}"), "new"]).await,
            "OK"
        );
    }
    for number in 60..80 {
        assert_eq!(client.ask(&["DEL", &format!("k{number}")]).await, "1");
    }
    assert_eq!(
        client.ask(&["SET", "k80", "soon", "PX", "3600000"]).await,
        "OK"
    );
    servers[1].go_on();
    ambassador.until_in(&servers[1].address()).await;
    // The other two die: what is read now is what came back.
    let survivor = servers.remove(1);
    drop(servers);
    let mut direct = survivor.client().await;
    let mut checked = 0;
    for number in 0..120 {
        let key = format!("k{number}");
        let wanted = match number {
            0..60 => "new",
            60..80 => "(nil)",
            80 => "soon",
            _ => "old",
        };
        let found = direct.ask(&["GET", &key]).await;
        if found != "(nil)" || wanted == "(nil)" {
            assert_eq!(found, wanted, "{key}");
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
    let left = direct.ask(&["PTTL", "k80"]).await;
    assert!(
        ["-2"].contains(&left.as_str()) || left.parse::<i64>().is_ok_and(|left| left > 3_000_000),
        "{left}"
    );
}

#[tokio::test]
async fn a_server_that_is_back_is_served_soon_however_often_it_went() {
    let mut server = Redis::start().await;
    let port = server.port;
    let ambassador = Ambassador::start(std::slice::from_ref(&server), 1).await;
    let mut client = ambassador.client().await;
    for _ in 0..6 {
        drop(server);
        while client.ask(&["GET", "a"]).await.contains("(nil)") {}
        server = Redis::start_at(port).await;
        // With a wait that grows from outage to outage this would be minutes.
        let address = server.address();
        let back = tokio::time::timeout(Duration::from_secs(10), ambassador.until_in(&address));
        back.await.expect("it is in again");
        assert_eq!(client.ask(&["GET", "a"]).await, "(nil)");
    }
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let servers = [Redis::start().await];
    let ambassador = Ambassador::start_with(&servers, |options| {
        options.password = Some("s3cret".to_owned());
    })
    .await;
    let mut client = ambassador.client().await;
    assert_eq!(
        client.ask(&["GET", "a"]).await,
        "-NOAUTH Authentication required."
    );
    assert!(
        client
            .ask(&["AUTH", "wrong"])
            .await
            .starts_with("-WRONGPASS")
    );
    assert_eq!(client.ask(&["AUTH", "s3cret"]).await, "OK");
    assert_eq!(client.ask(&["GET", "a"]).await, "(nil)");
}

#[tokio::test]
async fn slow_commands_are_told_once() {
    use gleaner_ambassador::{RedisReport, SlowLog};
    let server = Redis::start().await;
    let mut direct = server.client().await;
    direct
        .ask(&["CONFIG", "SET", "slowlog-log-slower-than", "0"])
        .await;
    direct.ask(&["SET", "a", "secret"]).await;
    direct
        .ask(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"])
        .await;
    let report = RedisReport::new(server.address(), None, Duration::from_secs(5));
    let mut log = SlowLog::new(report, false);
    let news = log.news().await.expect("answered");
    let set = news
        .entries
        .iter()
        .find(|entry| entry.command == "SET")
        .expect("the command");
    assert_eq!(set.arguments, None, "they may be secrets");
    assert!(log.news().await.expect("answered").entries.is_empty());
    let report = RedisReport::new(server.address(), None, Duration::from_secs(5));
    let page = report.scrape().await;
    assert!(page.contains("\nredis_up 1\n"), "{page}");
    assert!(page.contains("redis_connected_clients "), "{page}");
    drop(server);
    assert!(report.scrape().await.contains("redis_up 0"));
}
