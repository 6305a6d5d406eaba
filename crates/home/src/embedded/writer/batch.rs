//! One batch after another, on a thread that may block.

use std::sync::{Arc, atomic::Ordering};

use meridian_etcd_api::EtcdError;
use meridian_keyspace::Revision;

use super::super::{
    disk::Disk,
    hash,
    head::Head,
    job::{Answer, DiskJob, Job},
    published::Published,
};

/// An answer that waits until its batch is durable.
type Due = Box<dyn FnOnce() + Send>;

pub(super) struct Batches {
    head: Head,
    disk: Disk,
    published: Arc<Published>,
    index: u64,
    due: Vec<Due>,
    /// Physical compactions that wait for the disk, with the revision.
    compactions: Vec<(i64, Answer<Revision>)>,
}

impl Batches {
    pub(super) fn new(head: Head, disk: Disk, published: Arc<Published>) -> Self {
        let index = published.index.load(Ordering::Acquire);
        let batches = Self {
            head,
            disk,
            published,
            index,
            due: Vec::new(),
            compactions: Vec::new(),
        };
        batches.note_sizes();
        batches
    }

    /// Whether there is something to do without any job.
    pub(super) fn has_background_work(&self) -> bool {
        self.disk.has_folds()
    }

    /// Does the jobs and one bounded part of the background work.
    pub(super) fn process(&mut self, jobs: Vec<Job>) -> Result<(), redb::Error> {
        for job in jobs {
            self.evaluate(job)?;
        }
        self.flush()?;
        if self.disk.has_folds() {
            self.disk.fold()?;
            self.note_sizes();
        }
        self.answer_compactions();
        Ok(())
    }

    fn evaluate(&mut self, job: Job) -> Result<(), redb::Error> {
        match job {
            Job::Single(op, answer) => {
                let done = self.head.single(op);
                self.answer_later(answer, done);
            }
            Job::Txn(txn, answer) => {
                let done = self.head.transact(&txn);
                self.answer_later(answer, done);
            }
            Job::Compact {
                revision,
                physical,
                answer,
            } => match self.head.compact(revision) {
                Ok(_) if physical => self.compactions.push((revision, answer)),
                done => self.answer_later(answer, done),
            },
            Job::Grant {
                id,
                ttl_secs,
                answer,
            } => {
                let done = self.head.grant(id, ttl_secs);
                self.answer_later(answer, done);
            }
            Job::Revoke(id, answer) => {
                let done = self.head.revoke(id);
                self.answer_later(answer, done);
            }
            Job::Expire(ids, answer) => {
                let done = self.head.expire(&ids);
                self.answer_later(answer, done);
            }
            Job::Disk(job) => {
                self.flush()?;
                self.with_disk(job)?;
            }
        }
        Ok(())
    }

    fn with_disk(&mut self, job: DiskJob) -> Result<(), redb::Error> {
        match job {
            DiskJob::Hash(answer) => {
                let sum = self.disk.checksum()?;
                self.answer_later(answer, Ok((sum, self.head.revision())));
            }
            DiskJob::HashKv { revision, answer } => {
                let hashed = hash::of_keys(&self.disk, revision, self.head.revision())?;
                self.answer_later(answer, hashed);
            }
            DiskJob::Defragment(answer) => {
                self.disk.defragment()?;
                self.note_sizes();
                self.answer_later(answer, Ok(()));
            }
        }
        Ok(())
    }

    fn answer_later<T: Send + 'static>(&mut self, answer: Answer<T>, done: Result<T, EtcdError>) {
        self.due.push(Box::new(move || {
            // The caller may have gone; the change stands.
            let _ = answer.send(done);
        }));
    }

    /// Persists what was evaluated, publishes it, and answers.
    fn flush(&mut self) -> Result<(), redb::Error> {
        let steps = self.head.take_steps();
        if !steps.is_empty() {
            self.index += steps.len() as u64;
            self.disk.commit(&steps, self.index)?;
            metrics::counter!("meridian_embedded_home_commits_total").increment(1);
            metrics::counter!("meridian_embedded_home_steps_total").increment(steps.len() as u64);
            self.published.publish(&steps, self.index);
            self.note_sizes();
        }
        for answer in self.due.drain(..) {
            answer();
        }
        Ok(())
    }

    fn answer_compactions(&mut self) {
        let revision = self.head.revision();
        for (compacted, answer) in std::mem::take(&mut self.compactions) {
            if self.disk.is_folded_to(compacted) {
                let _ = answer.send(Ok(revision));
            } else {
                self.compactions.push((compacted, answer));
            }
        }
    }

    fn note_sizes(&self) {
        self.published
            .file_bytes
            .store(self.disk.file_bytes(), Ordering::Relaxed);
        self.published
            .stored_bytes
            .store(self.disk.stored_bytes(), Ordering::Relaxed);
    }
}
