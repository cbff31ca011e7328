// The frame of every page: it holds no data, so it needs no token. What a page shows is fetched by its script, with the token.
import { raw } from 'hono/html';
import type { Child } from 'hono/jsx';
import { texts } from './texts.js';

const { nav, shell } = texts;
type Place = keyof typeof nav;

/** What every script imports: asked for at once, not one after the other. */
const MODULES = ['session', 'texts'];

interface ShellProps {
  current: Place;
  /** Of the page, without the ending. */
  styles: string[];
  script: string;
  bodyClass: string;
  /** The id of its content. */
  main: string;
  children?: Child;
}

export function Shell({ current, styles, script, bodyClass, main, children }: ShellProps) {
  const title = current === 'chat' ? 'Pinch' : `${nav[current]} · Pinch`;
  return (
    <Document title={title} styles={['base', 'frame', ...styles]} script={script} bodyClass={bodyClass}>
      <a class="skip" href={`#${main}`}>
        {shell.skip}
      </a>
      <Nav current={current} />
      {children}
    </Document>
  );
}

type DocumentProps = Pick<ShellProps, 'styles' | 'script' | 'bodyClass' | 'children'> & { title: string };

export const Document = ({ title, styles, script, bodyClass, children }: DocumentProps) => (
  <>
    {raw('<!doctype html>')}
    <html lang={texts.language}>
      <head>
        <meta charset="utf-8" />
        <meta
          name="viewport"
          content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
        />
        <meta name="color-scheme" content="light dark" />
        <meta name="theme-color" content="#ffffff" media="(prefers-color-scheme: light)" />
        <meta name="theme-color" content="#211f25" media="(prefers-color-scheme: dark)" />
        <title>{title}</title>
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
        <link rel="apple-touch-icon" href="/icon.png" />
        <link rel="manifest" href="/manifest.webmanifest" />
        {styles.map((name) => (
          <link rel="stylesheet" href={`/${name}.css`} />
        ))}
        {MODULES.map((name) => (
          <link rel="modulepreload" href={`/${name}.js`} />
        ))}
        <script type="module" src={`/${script}.js`} />
      </head>
      <body class={bodyClass}>
        {children}
        <noscript>
          <p class="banner error">{shell.noScript}</p>
        </noscript>
      </body>
    </html>
  </>
);

function Nav({ current }: { current: Place }) {
  const places = Object.entries(nav).map(([name, label]) => ({ name, label }));
  return (
    <nav class="places" aria-label={shell.places}>
      <p class="brand" aria-hidden="true">
        <img src="/icon.svg" alt="" width="26" height="26" /> Pinch
      </p>
      <ul>
        {places.map(({ name, label }) => (
          <li>
            <a href={name === 'chat' ? '/' : `/${name}`} aria-current={name === current ? 'page' : undefined}>
              {label}
              {name === 'approvals' && <span class="count" id="nav-approvals" />}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** The frame of a page of the control room. */
export const ControlShell = ({ name }: { name: Place }) => (
  <Shell current={name} main="main" styles={['control']} script="control" bodyClass="control">
    <div id="banners" role="status">
      <p id="offline" class="banner error" hidden>
        {shell.offline}
      </p>
      <p id="stopped" class="banner error" hidden>
        {shell.stopped}{' '}
        <button type="button" id="resume" class="small">
          {shell.resume}
        </button>
      </p>
    </div>
    <main id="main" tabindex={-1} aria-busy="true">
      <h1>{nav[name]}</h1>
    </main>
    <p id="said" role="status" aria-live="polite" />
  </Shell>
);
