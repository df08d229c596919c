// The figures under the picture: what was lost, and in how few bytes the rest is.

const number = (digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export const bytes = (count) => {
  if (count < 10_000) return `${count.toLocaleString("en")} bytes`;
  return count < 1_000_000 ? `${number(1).format(count / 1000)} kB` : `${number(2).format(count / 1_000_000)} MB`;
};

/** psnr and ssim: undefined where there is no original, null where they are undefined. */
export const showFigures = ({ psnr, ssim, uploadBytes, codesBytes, bitsPerPixel }) => {
  const ratio = uploadBytes / codesBytes;
  const shown = {
    psnr: psnr === undefined ? "–" : psnr === null ? "equal" : `${number(2).format(psnr)} dB`,
    ssim: ssim === undefined || ssim === null ? "–" : number(3).format(ssim),
    upload: bytes(uploadBytes),
    codes: bytes(codesBytes),
    ratio: psnr === undefined ? "–" : `${number(ratio < 9.95 ? 1 : 0).format(ratio)} : 1`,
    bits: number(4).format(bitsPerPixel),
  };
  for (const [name, text] of Object.entries(shown)) {
    document.querySelector(`[data-figure="${name}"]`).textContent = text;
  }
};
