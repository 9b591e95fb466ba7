//! Compresses on all cores: blocks of fixed size, each a gzip member of its own. Gzip's format lets members follow each
//! other, and every reader of it takes them for one file. What a block becomes depends on its bytes alone, so neither
//! the number of threads nor their order shows in the result.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;
use libdeflater::{CompressionLvl, Compressor};

/// Bytes of a block. Smaller ones lose more at their beginnings, where nothing is there to refer to.
pub const BLOCK: usize = 1024 * 1024;
/// libdeflate's, of 12: output as small as zlib's best.
const LEVEL: i32 = 9;

/// A block, and where its member is awaited.
type Work = (Vec<u8>, Sender<io::Result<Vec<u8>>>);

/// Compresses what is written. [`ParallelGzip::finish`] must be called, or the end is lost.
pub struct ParallelGzip<W: Write> {
    inner: W,
    block: Vec<u8>,
    work: Option<Sender<Work>>,
    /// In the order of the blocks.
    awaited: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    threads: Vec<JoinHandle<()>>,
    empty: bool,
}

impl<W: Write> ParallelGzip<W> {
    /// # Errors
    /// A thread cannot be started.
    pub fn new(inner: W, threads: usize) -> io::Result<Self> {
        let (work, queue) = channel::<Work>();
        let queue = Arc::new(Mutex::new(queue));
        let threads = (0..threads.max(1))
            .map(|_| {
                let queue = Arc::clone(&queue);
                std::thread::Builder::new().name("gzip".into()).spawn(move || compress(&queue))
            })
            .collect::<io::Result<Vec<_>>>()?;
        let (block, awaited) = (Vec::with_capacity(BLOCK), VecDeque::new());
        Ok(Self { inner, block, work: Some(work), awaited, threads, empty: true })
    }

    /// Writes the rest and gives back what was written to.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() || self.empty {
            self.hand_over()?;
        }
        self.drain(0)?;
        self.work = None;
        for thread in self.threads {
            thread.join().map_err(|_| io::Error::other("a compressing thread panicked"))?;
        }
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (done, awaited) = channel();
        let work = self.work.as_ref().ok_or_else(ended)?;
        work.send((block, done)).map_err(|_| ended())?;
        self.awaited.push_back(awaited);
        self.empty = false;
        // Twice as many as threads: all have work while the oldest is written, and memory stays bounded.
        self.drain(2 * self.threads.len())
    }

    /// Writes the oldest members until so many are left.
    fn drain(&mut self, left: usize) -> io::Result<()> {
        while self.awaited.len() > left {
            let Some(oldest) = self.awaited.pop_front() else { break };
            self.inner.write_all(&oldest.recv().map_err(|_| ended())??)?;
        }
        Ok(())
    }
}

impl<W: Write> Write for ParallelGzip<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = buffer.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&buffer[..taken]);
        if self.block.len() == BLOCK {
            self.hand_over()?;
        }
        Ok(taken)
    }

    /// Blocks have a fixed size: flushing in between would show in the bytes, so it does nothing.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What every member begins with: deflate, neither name nor time nor comment, compressed as well as it can, on a system
/// that is not named.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255];

/// Reads what [`ParallelGzip`] writes, and refuses everything else that gzip allows: other headers, and members that are
/// not full before the last one.
pub struct StrictGzip<R> {
    decoder: DeflateDecoder<R>,
    /// Of the member that is read.
    sum: Option<Crc>,
    /// Whether the member before was full; true before the first.
    full: bool,
    first: bool,
}

impl<R: BufRead> StrictGzip<R> {
    pub fn new(reader: R) -> Self {
        Self { decoder: DeflateDecoder::new(reader), sum: None, full: true, first: true }
    }

    /// Begins the next member; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        let reader = self.decoder.get_mut();
        if !self.first && reader.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut header = [0; HEADER.len()];
        reader.read_exact(&mut header)?;
        if !self.full || header != HEADER {
            return Err(io::Error::other(
                "its gzip format is not ours: it has a name, a time or another header, or a short part before the last",
            ));
        }
        self.sum = Some(Crc::new());
        Ok(true)
    }

    /// Judges the member that has just been read to its end.
    fn end(&mut self, sum: &Crc) -> io::Result<()> {
        let mut trailer = [0; 8];
        self.decoder.get_mut().read_exact(&mut trailer)?;
        let size = sum.amount() as usize;
        if trailer != [sum.sum().to_le_bytes(), sum.amount().to_le_bytes()].concat()[..]
            || (size == 0 && !self.first)
        {
            return Err(io::Error::other("the sum or the size of a gzip member is wrong"));
        }
        (self.full, self.first) = (size == BLOCK, false);
        self.decoder.reset_data();
        Ok(())
    }
}

impl<R: BufRead> Read for StrictGzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.sum.is_none() && !self.begin()? {
                return Ok(0);
            }
            let got = self.decoder.read(buffer)?;
            let Some(sum) = &mut self.sum else { continue };
            if got == 0 {
                let sum = self.sum.take().unwrap_or_default();
                self.end(&sum)?;
                continue;
            }
            sum.update(&buffer[..got]);
            if sum.amount() as usize > BLOCK {
                return Err(io::Error::other("a gzip member is larger than ours are"));
            }
            return Ok(got);
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("a compressing thread has ended")
}

fn compress(queue: &Mutex<Receiver<Work>>) {
    let mut compressor = Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default());
    loop {
        let next = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok((block, done)) = next else { return };
        let mut member = vec![0; compressor.gzip_compress_bound(block.len())];
        let result = compressor.gzip_compress(&block, &mut member).map(|size| {
            member.truncate(size);
            member
        });
        // Nobody waits any more when writing failed.
        let _ = done.send(result.map_err(io::Error::other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut back = Vec::new();
        StrictGzip::new(bytes).read_to_end(&mut back).map(|_| back)
    }

    /// A member as `gzip` and its relatives may write it.
    fn member(builder: flate2::GzBuilder, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn only_our_own_form_of_gzip_is_read() {
        let builder = || flate2::GzBuilder::new().operating_system(255);
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK] {
            assert!(read(&compressed(&sample(size), 2, BLOCK)).unwrap() == sample(size), "{size}");
        }
        let ours = compressed(b"1", 1, 1);
        assert_eq!(read(&member(builder(), b"1")).unwrap(), b"1", "the builder's own form is ours");
        let full = compressed(&sample(BLOCK), 1, BLOCK);
        for (what, bytes) in [
            ("nothing", Vec::new()),
            ("a name", member(builder().filename("x"), b"1")),
            ("a time", member(builder().mtime(1), b"1")),
            ("a comment", member(builder().comment("x"), b"1")),
            ("an extra field", member(builder().extra(&b"x"[..]), b"1")),
            ("another system", member(builder().operating_system(3), b"1")),
            ("two members", [ours.clone(), ours.clone()].concat()),
            ("an empty one at the end", [full.clone(), compressed(b"", 1, 1)].concat()),
            ("an empty one first", [compressed(b"", 1, 1), ours.clone()].concat()),
            ("a larger one", member(builder(), &sample(BLOCK + 1))),
            ("rubbish behind", [ours.clone(), vec![0]].concat()),
            ("a reserved flag", {
                let mut bytes = ours.clone();
                bytes[3] = 0x80;
                bytes
            }),
            ("another sum", {
                let mut bytes = ours.clone();
                *bytes.iter_mut().rev().nth(7).unwrap() ^= 1;
                bytes
            }),
            ("another size", {
                let mut bytes = ours.clone();
                *bytes.last_mut().unwrap() ^= 1;
                bytes
            }),
        ] {
            assert!(read(&bytes).is_err(), "{what}");
        }
        for cut in 0..ours.len() {
            assert!(read(&ours[..cut]).is_err(), "cut to {cut}");
        }
    }

    fn compressed(bytes: &[u8], threads: usize, at_once: usize) -> Vec<u8> {
        let mut gzip = ParallelGzip::new(Vec::new(), threads).unwrap();
        for part in bytes.chunks(at_once) {
            gzip.write_all(part).unwrap();
        }
        gzip.finish().unwrap()
    }

    fn sample(bytes: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x3f
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    #[test]
    fn the_bytes_do_not_depend_on_threads_or_on_how_they_are_written() {
        let bytes = sample(5 * BLOCK + 12_345);
        let one = compressed(&bytes, 1, bytes.len());
        for (threads, at_once) in [(1, 1000), (2, BLOCK), (3, 4096), (16, BLOCK + 1)] {
            assert_eq!(compressed(&bytes, threads, at_once), one, "{threads} threads, {at_once} at once");
        }
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(&one[..]).read_to_end(&mut back).unwrap();
        assert!(back == bytes);
    }

    #[test]
    fn nothing_and_exact_blocks_are_whole_files_too() {
        for size in [0, BLOCK, 2 * BLOCK] {
            let bytes = sample(size);
            let mut back = Vec::new();
            flate2::read::MultiGzDecoder::new(&compressed(&bytes, 2, BLOCK)[..])
                .read_to_end(&mut back)
                .unwrap();
            assert!(back == bytes, "{size}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_not_a_hang() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = ParallelGzip::new(Full, 2).unwrap();
        let bytes = sample(20 * BLOCK);
        let failed = gzip.write_all(&bytes).and_then(|()| gzip.finish().map(drop)).unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
    }
}
