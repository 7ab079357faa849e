//! Following the arrivals: who asks for them, and whether the list moves with them.

use std::time::Duration;

use super::work::LogsEffect;
use crate::tui::ask::Question;
use atalaya_store::engine::Follower;

#[derive(Debug, Default)]
pub struct Follow {
    /// Answers to others are dropped.
    pub question: Question,
    /// `None` until the newest page was read, and while a task has it.
    follower: Option<Follower>,
    /// A task is out.
    running: bool,
    pub state: FollowState,
    /// Arrived since following stopped.
    pub unseen: u64,
    /// The tab has the screen: nobody follows behind it.
    pub shown: bool,
}

/// Whether the newest row is kept in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FollowState {
    #[default]
    On,
    Paused,
}

impl Follow {
    pub fn is_on(&self) -> bool {
        self.state == FollowState::On
    }

    /// New arrivals are told of by the store.
    pub fn is_live(&self) -> bool {
        self.follower.is_some()
    }

    /// Nothing moves any more; what arrives is counted.
    pub fn pause(&mut self) {
        self.state = FollowState::Paused;
    }

    pub fn resume(&mut self) {
        self.state = FollowState::On;
        self.unseen = 0;
    }

    /// Follows what a newest page will begin.
    pub fn restart(&mut self, question: Question) {
        self.question = question;
        self.follower = None;
        self.running = false;
        self.resume();
    }

    /// Takes a follower: the first one, or the one that a task brings back.
    pub fn update(&mut self, follower: Follower) {
        self.follower = Some(follower);
        self.running = false;
    }

    /// The next look at the arrivals; `None` while one is under way or nobody looks.
    pub fn next(&mut self, pause: Duration) -> Option<LogsEffect> {
        if !self.shown || self.running {
            return None;
        }
        let follower = self.follower.clone()?;
        self.running = true;
        Some(LogsEffect::Follow {
            question: self.question,
            follower,
            pause,
        })
    }
}
