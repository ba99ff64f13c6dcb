//! Where log lines go: gathered in memory and written together, so that a call costs no system call for its line.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others.
const GATHER: Duration = Duration::from_millis(50);
/// So many bytes are written without waiting any longer.
const FULL: usize = 64 * 1024;

/// Writes lines in the order in which they come, each whole.
///
/// No line is dropped: who called what is evidence. When the reader of the log is slow and the buffer is full, whoever
/// logs the next line writes them all, and waits as long as that takes. Warnings and errors are written at once, with
/// what was logged before them: they may be the last that a process says. [`Lines::write_at_once`] ends the gathering
/// for an orderly end. Only a process that is killed loses the ordinary lines of its last 50 ms.
pub(super) struct Lines<W>(Arc<Shared<W>>);

struct Shared<W> {
    waiting: Mutex<Vec<u8>>,
    /// There is a first line to be written soon.
    first: Condvar,
    at_once: AtomicBool,
    out: Mutex<Out<W>>,
}

struct Out<W> {
    writer: W,
    /// The lines being written; keeps its room for the next ones.
    bytes: Vec<u8>,
}

impl<W: Write + Send + 'static> Lines<W> {
    /// Starts the thread that writes what has been gathered.
    ///
    /// # Errors
    ///
    /// When there can be no more threads.
    pub(super) fn to(writer: W) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            first: Condvar::new(),
            at_once: AtomicBool::new(false),
            out: Mutex::new(Out {
                writer,
                bytes: Vec::new(),
            }),
        });
        let gathered = Arc::downgrade(&shared);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                while let Some(shared) = gathered.upgrade() {
                    shared.wait_for_a_line();
                    thread::sleep(GATHER);
                    shared.flush();
                }
            })?;
        Ok(Self(shared))
    }

    /// From now on every line is written before its event is over, with all that were gathered.
    pub(super) fn write_at_once(&self) {
        self.0.at_once.store(true, Ordering::SeqCst);
        self.0.flush();
    }
}

impl<W> Clone for Lines<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write> Shared<W> {
    fn add(&self, line: &[u8], urgent: bool) {
        let mut waiting = lock(&self.waiting);
        if waiting.is_empty() {
            self.first.notify_one();
        }
        waiting.extend_from_slice(line);
        let full = waiting.len() >= FULL;
        drop(waiting);
        if urgent || full || self.at_once.load(Ordering::SeqCst) {
            self.flush();
        }
    }

    fn wait_for_a_line(&self) {
        let waiting = lock(&self.waiting);
        let empty = |waiting: &mut Vec<u8>| waiting.is_empty();
        drop(self.first.wait_while(waiting, empty));
    }

    fn flush(&self) {
        // Held while taking the lines: those taken later are written later.
        let mut out = lock(&self.out);
        let Out { writer, bytes } = &mut *out;
        std::mem::swap(bytes, &mut *lock(&self.waiting));
        // There is nobody left to tell.
        let _ = writer.write_all(bytes).and_then(|()| writer.flush());
        bytes.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a, W: Write + 'a> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Line<'a, W> {
        Line {
            shared: &self.0,
            urgent: true,
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<'a, W> {
        Line {
            shared: &self.0,
            urgent: *event.level() <= Level::WARN,
        }
    }
}

/// Takes one line, in one piece.
pub(super) struct Line<'a, W> {
    shared: &'a Shared<W>,
    urgent: bool,
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.add(line, self.urgent);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Tells what is written, piece by piece.
    struct Told(mpsc::Sender<String>);

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.send(text).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines<Told>, mpsc::Receiver<String>) {
        let (tell, told) = mpsc::channel();
        (Lines::to(Told(tell)).unwrap(), told)
    }

    fn line<'a>(lines: &'a Lines<Told>, urgent: bool) -> Line<'a, Told> {
        Line {
            shared: &lines.0,
            urgent,
        }
    }

    fn all(told: &mpsc::Receiver<String>) -> String {
        told.try_iter().collect()
    }

    #[test]
    fn ordinary_lines_are_written_soon_and_a_warning_at_once_with_what_came_before() {
        let (lines, told) = lines();
        line(&lines, false).write_all(b"one\n").unwrap();
        assert_eq!(told.recv().unwrap(), "one\n");
        line(&lines, false).write_all(b"two\n").unwrap();
        line(&lines, true).write_all(b"three\n").unwrap();
        assert!(all(&told).ends_with("three\n"));
    }

    #[test]
    fn a_full_buffer_is_written_by_whoever_fills_it() {
        let (lines, told) = lines();
        let long = [b'x'; FULL];
        line(&lines, false).write_all(&long).unwrap();
        assert!(all(&told).len() >= FULL);
    }

    #[test]
    fn nothing_is_lost_and_nothing_out_of_order_when_many_threads_write_and_it_ends() {
        let (lines, told) = lines();
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let lines = lines.clone();
                thread::spawn(move || {
                    for number in 0..5_000 {
                        let text = format!("{thread} {number} {}\n", "x".repeat(100));
                        line(&lines, number % 1000 == 999)
                            .write_all(text.as_bytes())
                            .unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        lines.write_at_once();
        line(&lines, false).write_all(b"9 0 last\n").unwrap();
        let written = all(&told);
        assert_eq!(written.lines().count(), 20_001);
        for thread in 0..4 {
            let own = written.lines().filter_map(|line| {
                let mut words = line.split(' ');
                (words.next() == Some(&thread.to_string())).then(|| words.next().unwrap())
            });
            let numbers: Vec<usize> = own.map(|number| number.parse().unwrap()).collect();
            assert_eq!(numbers, (0..5_000).collect::<Vec<_>>());
        }
    }
}
