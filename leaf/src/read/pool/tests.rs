//! Who is let in, who waits, and what runs where.

use std::time::Duration;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Occupies the only thread until the returned sender is dropped.
fn occupy(pool: &Arc<Pool>) -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (started, has_started) = std::sync::mpsc::channel();
    let pool = Arc::clone(pool);
    tokio::spawn(async move {
        let job = move |_: &Arc<Control>| {
            started.send(()).expect("the test waits");
            assert!(released.recv().is_err(), "nothing is sent");
        };
        drop(pool.short.run(soon(), job).await);
    });
    has_started.recv().expect("the job starts");
    release
}

fn pool(capacity: usize) -> Arc<Pool> {
    Arc::new(Pool::start_with(1, capacity, 0).expect("threads"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_rejects_and_says_so() {
    let pool = pool(1);
    let release = occupy(&pool);
    let mut waiting = Box::pin(pool.short.run(soon(), |_| 1));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let rejected = pool.short.run(soon(), |_| 2).await;
    let Err(PoolFault::Rejected(LeafFault::Rejected { queue, capacity })) = rejected else {
        panic!("there is no room");
    };
    assert_eq!((&*queue, capacity), ("search", 1));
    drop(release);
    assert!(matches!(waiting.await, Ok(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn late_and_abandoned_work_is_not_evaluated() {
    let pool = pool(8);
    let release = occupy(&pool);
    let late = pool.short.run(Instant::now(), |_| panic!("too late"));
    let mut abandoned = Box::pin(pool.short.run(soon(), |_| panic!("nobody waits")));
    assert!(futures::poll!(abandoned.as_mut()).is_pending());
    drop(abandoned);
    let wanted = pool.short.run(soon(), |_| 3);
    drop(release);
    let (late, wanted): (Result<(), _>, _) = futures::join!(late, wanted);
    assert!(matches!(late, Err(PoolFault::Late)));
    assert!(matches!(wanted, Ok(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_evaluation_is_told_to_stop() {
    let pool = pool(1);
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (stopped, has_stopped) = tokio::sync::oneshot::channel();
    let running = pool.short.run(soon(), move |control| {
        started.send(()).expect("the test waits");
        while control.check().is_ok() {
            std::thread::yield_now();
        }
        stopped.send(()).expect("the test waits");
    });
    tokio::select! {
        _ = running => panic!("it runs until it is cancelled"),
        _ = has_started => {}
    }
    has_stopped.await.expect("cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn brief_work_is_done_in_place_unless_others_wait() {
    let pool = pool(8);
    let here = std::thread::current().id();
    let thread = |_: &Arc<Control>| std::thread::current().id();
    let done = futures::poll!(Box::pin(pool.run_brief(soon(), thread)));
    assert!(matches!(done, std::task::Poll::Ready(Ok(id)) if id == here));
    let late = pool.run_brief(Instant::now(), |_| panic!("too late"));
    assert!(matches!(late.await, Err::<(), _>(PoolFault::Late)));
    let panicked: Result<(), _> = pool.run_brief(soon(), |_| panic!("as a test asks")).await;
    assert!(matches!(panicked, Err(PoolFault::Panicked)));
    let release = occupy(&pool);
    let mut waiting = Box::pin(pool.short.run(soon(), |_| 1));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let mut brief = Box::pin(pool.run_brief(soon(), |_| 2));
    assert!(futures::poll!(brief.as_mut()).is_pending());
    drop(release);
    assert!(matches!(waiting.await, Ok(1)));
    assert!(matches!(brief.await, Ok(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_holds_up_no_short_work() {
    let pool = pool(8);
    let release = occupy(&pool);
    let mut waiting = Box::pin(pool.run(Length::Short, soon(), |_| 1));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    let name = |_: &Arc<Control>| std::thread::current().name().map(str::to_owned);
    let other = pool.run(Length::Long, soon(), name);
    let name = other.await.ok().flatten();
    assert_eq!(name.as_deref(), Some("long-search-0"));
    let stats = pool.stats();
    assert_eq!(
        (stats.num_threads, stats.num_queued, stats.queue_capacity),
        (2, 1, Some(16))
    );
    drop(release);
    assert!(matches!(waiting.await, Ok(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_one_failure_and_the_thread_goes_on() {
    let pool = pool(1);
    let panicked: Result<(), _> = pool.short.run(soon(), |_| panic!("as a test asks")).await;
    assert!(matches!(panicked, Err(PoolFault::Panicked)));
    assert!(matches!(pool.short.run(soon(), |_| 4).await, Ok(4)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_longer_than_was_thought_holds_up_no_short_work() {
    let pool = Arc::new(Pool::start(1, 8).expect("threads"));
    // Each takes the place of the one before it.
    let held: Vec<_> = (0..3).map(|_| occupy(&pool)).collect();
    for n in 0..8 {
        assert!(matches!(pool.run(Length::Short, soon(), move |_| n).await, Ok(m) if m == n));
    }
    drop(held);
    assert!(matches!(pool.short.run(soon(), |_| 9).await, Ok(9)));
}
