//! QR codes as PNG pictures, and for terminals: what a phone's wallet reads off a screen (invoices, payment links).

use qrcode::render::unicode::Dense1x2;
use qrcode::{Color, EcLevel, QrCode};

/// Pixels along a module, the smallest square of the code.
const PIXELS: usize = 8;
/// The white rim in modules (ISO/IEC 18004 asks for four).
const RIM: usize = 4;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// More than the largest code holds (2 953 bytes at the lowest error correction).
    #[error("{length} bytes do not fit a QR code: {error}")]
    TooLong {
        /// Of the text.
        length: usize,
        /// As the library says it.
        error: qrcode::types::QrError,
    },
    /// The picture could not be written.
    #[error("a QR code's picture could not be written: {0}")]
    Picture(#[from] png::EncodingError),
}

/// A QR code of this text as a PNG file: black on white, one bit a pixel, with its rim. Text in capitals makes a smaller code.
///
/// # Errors
/// [`QrError::TooLong`] for more than a code can hold.
pub fn png(text: &str) -> Result<Vec<u8>, QrError> {
    let too_long = |error| QrError::TooLong { length: text.len(), error };
    // The lowest correction: it is read off a screen, not off a crumpled paper, and larger modules are read from farther.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(too_long)?;
    let modules = code.width();
    let side = (modules + 2 * RIM) * PIXELS;
    let dark = code.to_colors();
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0xFF_u8; row_bytes * side];
    for (y, row) in pixels.chunks_mut(row_bytes).enumerate() {
        let Some(module_y) = (y / PIXELS).checked_sub(RIM).filter(|m| *m < modules) else { continue };
        for x in (RIM * PIXELS)..((RIM + modules) * PIXELS) {
            if dark[module_y * modules + x / PIXELS - RIM] == Color::Dark {
                row[x / 8] &= !(0x80 >> (x % 8));
            }
        }
    }
    let mut file = Vec::new();
    // The largest code has 177 modules.
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

/// The same for a terminal: light letters on dark, two modules above one another in each, with its rim.
///
/// # Errors
/// [`QrError::TooLong`] for more than a code can hold.
pub fn letters(text: &str) -> Result<String, QrError> {
    let too_long = |error| QrError::TooLong { length: text.len(), error };
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(too_long)?;
    // What is light is what is written: scanners look for dark on light.
    Ok(code.render().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture's modules, rim and all: dark or not, as a scanner would sample them.
    fn modules(file: &[u8]) -> Vec<Vec<bool>> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut buffer = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut buffer).unwrap();
        let row = info.line_size;
        let middle = |m: usize| m * PIXELS + PIXELS / 2;
        let count = info.width as usize / PIXELS;
        let dark = |x: usize, y: usize| buffer[y * row + x / 8] & (0x80 >> (x % 8)) == 0;
        (0..count).map(|y| (0..count).map(|x| dark(middle(x), middle(y))).collect()).collect()
    }

    #[test]
    fn the_picture_shows_the_code_within_a_white_rim() {
        let text = "LNBC50U1PJ0EXAMPLE";
        let code = QrCode::with_error_correction_level(text, EcLevel::L).unwrap();
        let seen = modules(&png(text).unwrap());
        let width = code.width();
        assert_eq!(seen.len(), width + 2 * RIM);
        for (y, row) in seen.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                let inside = (RIM..RIM + width).contains(&x) && (RIM..RIM + width).contains(&y);
                let expected = inside && code[(x - RIM, y - RIM)] == Color::Dark;
                assert_eq!(*dark, expected, "module {x},{y}");
            }
        }
    }

    #[test]
    fn letters_show_the_same_code_light_on_dark() {
        let text = "LNBC50U1PJ0EXAMPLE";
        let picture = modules(&png(text).unwrap());
        let shown = letters(text).unwrap();
        let rows: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
        assert_eq!(rows.len(), picture.len().div_ceil(2));
        for (y, row) in picture.iter().enumerate() {
            for (x, dark) in row.iter().enumerate() {
                let both = rows[y / 2][x];
                let written = both == '\u{2588}' || both == if y % 2 == 0 { '\u{2580}' } else { '\u{2584}' };
                assert_eq!(written, !dark, "module {x},{y}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_length() {
        assert!(png(&"x".repeat(2_953)).is_ok());
        let error = png(&"x".repeat(2_954)).unwrap_err();
        assert!(matches!(error, QrError::TooLong { length: 2_954, .. }), "{error}");
    }
}
