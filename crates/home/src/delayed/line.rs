//! A line with a delay: what enters it comes out in order, the delay later.
//!
//! Invariant: no item comes out before its delay, and at most a bound are on the line. Time starts
//! when the item is taken from the inner stream, which is when the reader is waiting for the next.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) struct Line<S: Stream> {
    inner: S,
    delay: Duration,
    bound: usize,
    /// What is on its way, with the time at which it arrives; the end of the stream as `None`.
    on_the_way: VecDeque<(Instant, Option<S::Item>)>,
    ended: bool,
    alarm: Pin<Box<Sleep>>,
}

impl<S: Stream + Unpin> Line<S> {
    pub(super) fn new(inner: S, delay: Duration, bound: usize) -> Self {
        let alarm = Box::pin(sleep_until(Instant::now()));
        Self {
            inner,
            delay,
            bound,
            on_the_way: VecDeque::new(),
            ended: false,
            alarm,
        }
    }

    fn take_in(&mut self, cx: &mut Context<'_>) {
        while !self.ended && self.on_the_way.len() < self.bound {
            let Poll::Ready(item) = Pin::new(&mut self.inner).poll_next(cx) else {
                return;
            };
            self.ended = item.is_none();
            self.on_the_way
                .push_back((Instant::now() + self.delay, item));
        }
    }
}

impl<S: Stream + Unpin> Unpin for Line<S> {}

impl<S: Stream + Unpin> Stream for Line<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let line = &mut *self;
        line.take_in(cx);
        let Some((due, _)) = line.on_the_way.front() else {
            return if line.ended {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        if *due > Instant::now() {
            line.alarm.as_mut().reset(*due);
            if line.alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        let (_, item) = line.on_the_way.pop_front().expect("looked at above");
        Poll::Ready(item)
    }
}
