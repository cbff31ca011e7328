// QR codes for the two places where a person scans one: a terminal and the page.
import { renderSVG, renderUnicodeCompact } from 'uqr';

export const qrForTerminal = (text: string): string => renderUnicodeCompact(text);

/** As the address of a picture. */
export const qrForPage = (text: string): string =>
  `data:image/svg+xml;base64,${Buffer.from(renderSVG(text)).toString('base64')}`;
