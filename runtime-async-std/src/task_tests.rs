//! What the set of tasks promises.

use std::future::{pending, poll_fn};
use std::sync::atomic::AtomicUsize;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_wake_up_polls_one_task_and_no_other() {
    let outer = Arc::new(Count::default());
    let waker = Waker::from(outer.clone());
    let mut tasks = Tasks::default();
    let watched: Vec<_> = (0..3).map(|_| watch(&mut tasks)).collect();
    assert!(tasks.poll(&waker).is_pending());
    assert_eq!(polls(&watched), [1, 1, 1]);

    for _ in 0..3 {
        watched[1].lock().unwrap().1.clone().unwrap().wake();
    }
    assert_eq!(outer.0.load(Ordering::SeqCst), 1, "one call for three");
    assert!(tasks.poll(&waker).is_pending());
    assert_eq!(polls(&watched), [1, 2, 1]);
    assert!(tasks.poll(&waker).is_pending());
    assert_eq!(polls(&watched), [1, 2, 1]);
}

#[test]
fn a_task_that_wakes_itself_gets_another_turn_after_the_others() {
    let outer = Arc::new(Count::default());
    let waker = Waker::from(outer.clone());
    let mut tasks = Tasks::default();
    tasks.push(Task::new(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Pending
    })));
    assert!(tasks.poll(&waker).is_pending());
    assert_eq!(outer.0.load(Ordering::SeqCst), 1);
    assert!(tasks.poll(&waker).is_pending());
    assert_eq!(outer.0.load(Ordering::SeqCst), 2);
}

#[test]
fn the_set_is_over_with_its_last_task_and_uses_places_again() {
    let waker = Waker::from(Arc::new(Count::default()));
    let mut tasks = Tasks::default();
    assert!(tasks.poll(&waker).is_ready());
    for _ in 0..3 {
        tasks.push(Task::new(async {}));
        assert!(tasks.poll(&waker).is_ready());
    }
    assert_eq!(tasks.slots.len(), 1);
    tasks.push(Task::new(pending()));
    assert!(tasks.poll(&waker).is_pending());
}

type Watched = Arc<Mutex<(usize, Option<Waker>)>>;

fn watch(tasks: &mut Tasks) -> Watched {
    let watched = Watched::default();
    let state = watched.clone();
    tasks.push(Task::new(poll_fn(move |cx| {
        let mut state = state.lock().unwrap();
        state.0 += 1;
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    })));
    watched
}

fn polls(watched: &[Watched]) -> Vec<usize> {
    watched.iter().map(|one| one.lock().unwrap().0).collect()
}
