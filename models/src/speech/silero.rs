//! Silero voice activity detection, streaming: one set of weights, a small state per party.
//!
//! whisper.cpp has this model too, but clears its memory at each call and hides it, so that a live party would have to be
//! computed again and again over a rolling window (some 6 times the work), and each party would need a context of its
//! own. The network is small (0.7 M multiplications per 32 ms), so it is run here, and a test holds its output against
//! whisper.cpp's on the same recording.
//!
//! Per window of 512 samples: the 64 samples before it and the window, reflected by 64 at the right, go through a
//! precomputed Fourier basis (4 frames, 129 magnitudes), four convolutions with ReLU, an LSTM of 128, and a sigmoid.

use std::path::Path;

use super::ModelError;

/// Samples in one window: 32 ms at 16 kHz.
pub const WINDOW: usize = 512;

/// Samples of the past that stand before each window.
const CONTEXT: usize = 64;
/// Length of one Fourier frame.
const FRAME: usize = 256;
/// Step between frames. The file says so in `lstm_input_size`, which whisper.cpp uses as stride.
const HOP: usize = 128;
/// Frames per padded window of 640 samples.
const FRAMES: usize = (CONTEXT + WINDOW + CONTEXT - FRAME) / HOP + 1;
/// Magnitudes per frame.
const BINS: usize = FRAME / 2 + 1;
/// Size of the LSTM.
const HIDDEN: usize = 128;
/// Channels in and out and stride of the four convolutions (kernel 3, padding 1).
const LAYERS: [(usize, usize, usize); 4] = [(BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, HIDDEN, 1)];

/// A convolution with kernel 3, its weights laid out `[out][tap][in]` so that the inner loop runs over neighbours.
struct Conv {
    inputs: usize,
    outputs: usize,
    stride: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Conv {
    /// `input` is `[time][in]`; the result `[time'][out]`, after ReLU.
    fn run(&self, input: &[f32], out: &mut Vec<f32>) {
        let steps = input.len() / self.inputs;
        let steps_out = (steps - 1) / self.stride + 1;
        out.clear();
        for step in 0..steps_out {
            let centre = step * self.stride;
            for channel in 0..self.outputs {
                let mut sum = self.bias[channel];
                for tap in 0..3 {
                    let Some(at) = (centre + tap).checked_sub(1).filter(|at| *at < steps) else { continue };
                    let weight = &self.weight[(channel * 3 + tap) * self.inputs..][..self.inputs];
                    sum += dot(weight, &input[at * self.inputs..][..self.inputs]);
                }
                out.push(sum.max(0.0));
            }
        }
    }
}

/// The weights: about 2 MB, shared by all parties.
pub struct Silero {
    /// `[2 * BINS][FRAME]`: real rows, then imaginary rows.
    basis: Vec<f32>,
    convs: Vec<Conv>,
    input_weight: Vec<f32>,
    hidden_weight: Vec<f32>,
    /// Both biases added.
    bias: Vec<f32>,
    last_weight: Vec<f32>,
    last_bias: f32,
}

/// What the network remembers of one party.
#[derive(Clone)]
pub struct SileroState {
    hidden: [f32; HIDDEN],
    cell: [f32; HIDDEN],
    context: [f32; CONTEXT],
}

impl Default for SileroState {
    fn default() -> Self {
        Self { hidden: [0.0; HIDDEN], cell: [0.0; HIDDEN], context: [0.0; CONTEXT] }
    }
}

impl Silero {
    /// Reads a ggml file (`ggml-silero-v6.2.0.bin`, or v5.1.2, which has the same layout).
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&bytes).map_err(|what| ModelError::BadVad { path: path.to_owned(), what })
    }

    /// Reads the same from memory. Never panics on any bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut tensors = Tensors::read(bytes)?;
        let basis = tensors.take("_model.stft.forward_basis_buffer", 2 * BINS * FRAME)?;
        let mut convs = Vec::new();
        for (index, (inputs, outputs, stride)) in LAYERS.into_iter().enumerate() {
            let raw = tensors.take(&format!("_model.encoder.{index}.reparam_conv.weight"), inputs * outputs * 3)?;
            let bias = tensors.take(&format!("_model.encoder.{index}.reparam_conv.bias"), outputs)?;
            let mut weight = vec![0.0; raw.len()];
            for out in 0..outputs {
                for input in 0..inputs {
                    for tap in 0..3 {
                        weight[(out * 3 + tap) * inputs + input] = raw[(out * inputs + input) * 3 + tap];
                    }
                }
            }
            convs.push(Conv { inputs, outputs, stride, weight, bias });
        }
        let input_weight = tensors.take("_model.decoder.rnn.weight_ih", 4 * HIDDEN * HIDDEN)?;
        let hidden_weight = tensors.take("_model.decoder.rnn.weight_hh", 4 * HIDDEN * HIDDEN)?;
        let mut bias = tensors.take("_model.decoder.rnn.bias_ih", 4 * HIDDEN)?;
        for (sum, other) in bias.iter_mut().zip(tensors.take("_model.decoder.rnn.bias_hh", 4 * HIDDEN)?) {
            *sum += other;
        }
        let last_weight = tensors.take("_model.decoder.decoder.2.weight", HIDDEN)?;
        let last_bias = tensors.take("_model.decoder.decoder.2.bias", 1)?[0];
        Ok(Self { basis, convs, input_weight, hidden_weight, bias, last_weight, last_bias })
    }

    /// The probability, 0 to 1, that this window holds speech. Samples are -1 to 1 at 16 kHz; windows of one party are
    /// given in order, without overlap.
    pub fn window(&self, state: &mut SileroState, samples: &[f32; WINDOW]) -> f32 {
        let mut padded = [0.0; CONTEXT + WINDOW + CONTEXT];
        padded[..CONTEXT].copy_from_slice(&state.context);
        padded[CONTEXT..CONTEXT + WINDOW].copy_from_slice(samples);
        state.context.copy_from_slice(&samples[WINDOW - CONTEXT..]);
        self.padded(state, &mut padded)
    }

    fn padded(&self, state: &mut SileroState, padded: &mut [f32; CONTEXT + WINDOW + CONTEXT]) -> f32 {
        let end = CONTEXT + WINDOW;
        for i in 0..CONTEXT {
            padded[end + i] = padded[end - 2 - i];
        }
        let mut now = Vec::with_capacity(FRAMES * BINS);
        for frame in 0..FRAMES {
            let samples = &padded[frame * HOP..][..FRAME];
            for bin in 0..BINS {
                let real = dot(&self.basis[bin * FRAME..][..FRAME], samples);
                let imaginary = dot(&self.basis[(BINS + bin) * FRAME..][..FRAME], samples);
                now.push((real * real + imaginary * imaginary).sqrt());
            }
        }
        let mut next = Vec::new();
        for conv in &self.convs {
            conv.run(&now, &mut next);
            std::mem::swap(&mut now, &mut next);
        }
        let input = &now[..HIDDEN];
        let mut gates = [0.0; 4 * HIDDEN];
        for (row, gate) in gates.iter_mut().enumerate() {
            *gate = self.bias[row]
                + dot(&self.input_weight[row * HIDDEN..][..HIDDEN], input)
                + dot(&self.hidden_weight[row * HIDDEN..][..HIDDEN], &state.hidden);
        }
        let mut sum = self.last_bias;
        for i in 0..HIDDEN {
            let forget = sigmoid(gates[HIDDEN + i]);
            let cell = forget * state.cell[i] + sigmoid(gates[i]) * gates[2 * HIDDEN + i].tanh();
            let hidden = sigmoid(gates[3 * HIDDEN + i]) * cell.tanh();
            state.cell[i] = cell;
            state.hidden[i] = hidden;
            sum += self.last_weight[i] * hidden.max(0.0);
        }
        sigmoid(sum)
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// Sum of products, in eight lanes so that the compiler can use vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    let (mut a_rest, mut b_rest) = (a.chunks_exact(8), b.chunks_exact(8));
    for (x, y) in (&mut a_rest).zip(&mut b_rest) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    let tail: f32 = a_rest.remainder().iter().zip(b_rest.remainder()).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + tail
}

/// The tensors of a ggml VAD file by name, as f32.
struct Tensors(std::collections::HashMap<String, Vec<f32>>);

impl Tensors {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = Reader(bytes);
        if rest.int()? != 0x6767_6d6c {
            return Err("it does not start as a ggml file does".to_owned());
        }
        let name_length = rest.length()?;
        let name = String::from_utf8_lossy(rest.take(name_length)?).into_owned();
        if name != "silero-16k" {
            return Err(format!("model type is {name:?}, not \"silero-16k\""));
        }
        let _version = (rest.int()?, rest.int()?, rest.int()?);
        let (window, context, layers) = (rest.int()?, rest.int()?, rest.length()?);
        if window as usize != WINDOW || context as usize != CONTEXT || layers != LAYERS.len() {
            return Err(format!(
                "window {window}, context {context}, {layers} layers; expected {WINDOW}, {CONTEXT}, 4"
            ));
        }
        for _ in 0..layers * 3 + 4 {
            rest.int()?;
        }
        let mut tensors = std::collections::HashMap::new();
        while !rest.0.is_empty() {
            let (dimensions, name_length, kind) = (rest.length()?, rest.length()?, rest.int()?);
            let mut count = 1usize;
            for _ in 0..dimensions {
                count = count.checked_mul(rest.length()?).ok_or("a tensor is too large")?;
            }
            let name = String::from_utf8_lossy(rest.take(name_length)?).into_owned();
            let values = match kind {
                0 => {
                    let raw = rest.take(count.checked_mul(4).ok_or("a tensor is too large")?)?;
                    raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                1 => {
                    let raw = rest.take(count.checked_mul(2).ok_or("a tensor is too large")?)?;
                    raw.chunks_exact(2).map(|b| half(u16::from_le_bytes([b[0], b[1]]))).collect()
                }
                other => return Err(format!("tensor {name} has type {other}; only f32 and f16 are known")),
            };
            tensors.insert(name, values);
        }
        Ok(Self(tensors))
    }

    fn take(&mut self, name: &str, count: usize) -> Result<Vec<f32>, String> {
        let values = self.0.remove(name).ok_or_else(|| format!("tensor {name} is missing"))?;
        if values.len() != count {
            return Err(format!("tensor {name} has {} values, expected {count}", values.len()));
        }
        Ok(values)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        if count > self.0.len() {
            return Err("the file ends too early".to_owned());
        }
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        Ok(head)
    }

    fn int(&mut self) -> Result<i32, String> {
        let bytes = self.take(4)?;
        Ok(i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn length(&mut self) -> Result<usize, String> {
        let value = self.int()?;
        usize::try_from(value).map_err(|_| format!("a length is {value}"))
    }
}

/// IEEE 754 half to single.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2.0f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction) * 2.0f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Silero {
        /// As whisper.cpp pads: the window reflected at the left too, instead of the past.
        fn window_reflected(&self, state: &mut SileroState, samples: &[f32; WINDOW]) -> f32 {
            let mut padded = [0.0; CONTEXT + WINDOW + CONTEXT];
            padded[CONTEXT..CONTEXT + WINDOW].copy_from_slice(samples);
            for i in 0..CONTEXT {
                padded[i] = samples[CONTEXT - i];
            }
            self.padded(state, &mut padded)
        }
    }

    #[test]
    fn probabilities_are_those_of_whisper_cpp_on_the_same_recording() {
        let path = crate::eval::weights_for_tests("ggml-silero-v6.2.0.bin");
        let silero = Silero::load(&path).unwrap();
        let pcm = crate::eval::prompt_for_tests("vm-options");
        let samples: Vec<f32> = pcm.iter().map(|s| f32::from(*s) / 32768.0).collect();
        whisper_rs::install_logging_hooks();
        let mut one_thread = whisper_rs::WhisperVadContextParams::default();
        one_thread.set_n_threads(1);
        let mut theirs = whisper_rs::WhisperVadContext::new(path.to_str().unwrap(), one_thread).unwrap();
        theirs.detect_speech(&samples).unwrap();
        let mut state = SileroState::default();
        let mut spoken = 0;
        for (window, theirs) in samples.chunks_exact(WINDOW).zip(theirs.probabilities()) {
            let ours = silero.window_reflected(&mut state, window.try_into().unwrap());
            // whisper.cpp multiplies in half precision.
            assert!((ours - theirs).abs() < 0.03, "ours {ours}, whisper.cpp's {theirs}");
            spoken += usize::from(ours > 0.5);
        }
        assert!(spoken > 50, "only {spoken} windows of speech found");
    }

    #[test]
    fn files_that_are_no_model_are_refused_at_every_length() {
        let bytes = std::fs::read(crate::eval::weights_for_tests("ggml-silero-v6.2.0.bin")).unwrap();
        for length in (0..400).chain([bytes.len() / 2, bytes.len() - 1]) {
            assert!(Silero::parse(&bytes[..length]).is_err(), "accepted {length} bytes");
        }
        assert!(Silero::parse(&bytes).is_ok());
        assert!(Silero::parse(b"RIFF....WAVEfmt ").is_err());
    }

    #[test]
    fn half_floats_are_read() {
        for (bits, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
        {
            assert_eq!(half(bits), value);
        }
    }
}
