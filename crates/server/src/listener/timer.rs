//! Deadlines that move with every request, and alarms that don't.
//!
//! hyper sets the deadline of the next request head anew for each request. Telling the event queue
//! costs a system call and wakes its thread; an alarm that stays where it was and looks at the
//! deadline when it goes off costs that once in a while.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt;
use tokio::time::Instant;

/// A timer for deadlines that mostly move on before they come.
#[derive(Clone, Copy, Debug)]
pub(super) struct MovingTimer;

struct Moving {
    deadline: Instant,
    /// Goes off at the deadline or before.
    alarm: Pin<Box<tokio::time::Sleep>>,
}

impl Moving {
    fn new(deadline: Instant) -> Moving {
        Moving { deadline, alarm: Box::pin(tokio::time::sleep_until(deadline)) }
    }

    fn move_to(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(deadline);
        }
    }
}

impl Future for Moving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let deadline = self.deadline;
            if self.alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
    }
}

impl rt::Sleep for Moving {}

impl rt::Timer for MovingTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Moving::new(Instant::now() + duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Moving::new(deadline.into()))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Moving>() {
            Some(moving) => moving.get_mut().move_to(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn rings_after(moves: &[(u64, u64)]) -> Duration {
        let start = Instant::now();
        let mut sleep = MovingTimer.sleep(10 * SECOND);
        for (after, deadline) in moves {
            let at = start + *after as u32 * SECOND;
            assert!(tokio::time::timeout_at(at, sleep.as_mut()).await.is_err(), "{moves:?}");
            MovingTimer.reset(&mut sleep, (start + *deadline as u32 * SECOND).into());
        }
        sleep.await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_the_last_deadline_wherever_that_moved() {
        for (moves, expected) in [
            (&[][..], 10),
            (&[(5, 15)], 15),
            (&[(5, 15), (12, 22), (21, 31)], 31),
            (&[(5, 7)], 7),
            (&[(5, 20), (12, 14)], 14),
        ] {
            let rang = rings_after(moves).await;
            assert_eq!((rang + SECOND / 2).as_secs(), expected, "{moves:?}");
        }
    }
}
