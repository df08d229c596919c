// A colour for each code, always the same: neighbours in number differ most, and none is glaring.
// The formulas of OKLCH are Björn Ottosson's, https://bottosson.github.io/posts/oklab/.

const GOLDEN_ANGLE = 2.399963229728653; // radians: successive multiples never come near each other

const fraction = (number) => number - Math.floor(number);

const toByte = (linear) => {
  const value = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
  return Math.round(255 * Math.min(1, Math.max(0, value)));
};

const fromOklch = (lightness, chroma, hue) => {
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    toByte(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    toByte(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    toByte(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ];
};

/** [red, green, blue] of a code. */
export const colourOf = (code) =>
  fromOklch(
    0.48 + 0.4 * fraction(code * 0.7548776662466927),
    0.025 + 0.085 * fraction(code * 0.5698402909980532),
    code * GOLDEN_ANGLE,
  );
