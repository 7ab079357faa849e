//! The runner of what tabs want done: a task for each piece of work.
//!
//! Each has a [`Slot`]: new work in a slot cancels what runs there, so an answer nobody waits for
//! any more costs nothing. A cancelled task may still answer; whoever asked numbers the questions
//! and drops answers to older ones.

use std::collections::HashMap;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::registry::{Answer, Order, Slot, Task};
use crate::service::Stores;

/// Does work in tasks and sends the answers to the loop.
pub struct Runner {
    stores: Option<Stores>,
    answers: mpsc::Sender<Answer>,
    running: HashMap<Slot, CancellationToken>,
    stopped: CancellationToken,
}

impl Runner {
    /// `answers` is bounded; a task that finds it full waits, and is cancelled with the rest.
    pub fn new(stores: Stores, answers: mpsc::Sender<Answer>) -> Self {
        Self {
            stores: Some(stores),
            answers,
            running: HashMap::new(),
            stopped: CancellationToken::new(),
        }
    }

    pub fn take(&mut self, order: Order) {
        match order {
            Order::Run(task) => self.spawn(task),
            Order::Cancel(slot) => {
                if let Some(older) = self.running.remove(&slot) {
                    older.cancel();
                }
            }
        }
    }

    fn spawn(&mut self, task: Task) {
        let Some(stores) = self.stores.clone() else {
            return;
        };
        let cancel = self.stopped.child_token();
        if let Some(older) = self.running.insert(task.slot, cancel.clone()) {
            older.cancel();
        }
        let answers = self.answers.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                answer = task.run(stores, cancel.clone()) => if let Some(answer) = answer {
                    let _ = answers.send(answer).await;
                }
            }
        });
    }

    /// Cancels everything.
    pub fn stop(&mut self) {
        self.stopped.cancel();
        self.stores = None;
    }
}
