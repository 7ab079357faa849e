//! One column of a trend, as every trend of the program is drawn.

/// How high a part (0 to 1) of the highest stands; a digit of a tenth where there are no block
/// characters.
pub fn bar(part: f64, unicode: bool) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let part = part.clamp(0.0, 1.0);
    if unicode {
        BLOCKS[((part * 7.0).round() as usize).min(7)]
    } else {
        char::from_digit((part * 9.0).round() as u32, 10).unwrap_or('9')
    }
}
