//! Goal: probes are few, paced, and never older than the request. Method: a probe that counts, and
//! paused time.

use std::sync::atomic::{AtomicI64, Ordering};

use meridian_keyspace::Revision;

use super::*;

#[derive(Default)]
struct Counting {
    left: AtomicI64,
    takes: Duration,
}

#[async_trait]
impl Probe for Counting {
    async fn probe(&self) -> Result<Facts, CallError> {
        let number = self.left.fetch_add(1, Ordering::SeqCst) + 1;
        tokio::time::sleep(self.takes).await;
        Ok(Facts {
            revision: Revision::new(number),
            ..Facts::default()
        })
    }
}

fn shared(takes: Duration) -> (Arc<Counting>, Arc<Shared>) {
    let counting = Arc::new(Counting {
        takes,
        ..Counting::default()
    });
    let tasks = TaskGroup::root("test");
    let shared = Shared::paced(counting.clone(), REGION_PACE, &tasks);
    (counting, shared)
}

#[tokio::test(start_paused = true)]
async fn a_region_probes_once_in_an_interval_however_many_ask() {
    let (counting, shared) = shared(Duration::from_millis(250));
    let begun = Instant::now();
    let asks = (0..500).map(|number| {
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(2 * number)).await;
            let before = Instant::now();
            shared.read_index().await.unwrap();
            before.elapsed()
        })
    });
    let asks: Vec<_> = asks.collect();
    for asked in asks {
        let waited = asked.await.unwrap();
        // The interval and the probe itself.
        assert!(waited <= Duration::from_millis(355), "{waited:?}");
    }
    let intervals = begun.elapsed().as_millis() / REGION_PACE.as_millis() + 1;
    let left = counting.left.load(Ordering::SeqCst);
    assert!(
        u128::try_from(left).unwrap() <= intervals,
        "{left} probes in {intervals} intervals"
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_of_a_probe_that_left_after_the_request() {
    let (counting, shared) = shared(Duration::from_millis(80));
    for _ in 0..20 {
        let left_before = counting.left.load(Ordering::SeqCst);
        let facts = shared.read_index().await.unwrap();
        assert!(facts.revision.get() > left_before);
        assert_eq!(shared.waiting(), 0);
    }
}
