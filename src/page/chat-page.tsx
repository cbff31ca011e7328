// The frame of the chat: what it shows is fetched by its scripts (pages/chat.js).
import { Document, Shell } from './shell.js';
import { texts } from './texts.js';

const t = texts.chat;

export const ChatPage = () => (
  <Shell
    current="chat"
    main="scroller"
    styles={['message', 'chat', 'composer', 'panel']}
    script="chat"
    bodyClass="chat"
  >
    <Header />
    <div id="banners" role="status">
      <p id="offline" class="banner error" hidden>
        {t.offline}
      </p>
      <p id="stopped" class="banner error" hidden>
        {texts.shell.stopped}{' '}
        <button type="button" id="resume" class="small">
          {texts.shell.resume}
        </button>
      </p>
      <p id="problems" class="banner warn" />
      <p id="demo" class="banner info" hidden>
        {t.demo}
      </p>
    </div>
    <section id="linking" aria-label={t.linking} />
    <main id="scroller" tabindex={-1}>
      <Empty />
      <div id="content">
        <div id="conversation" role="log" aria-live="polite" aria-label={t.conversation} aria-busy="true">
          <p id="older" hidden>
            <button type="button" class="small">
              {t.older}
            </button>
          </p>
          <div id="messages" />
          <div id="pending" />
        </div>
        <div id="working" role="status" hidden>
          <span class="dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          <span id="working-text" />
          <span id="working-time" aria-hidden="true" />
          <a id="working-run" href="/runs" hidden>
            {t.details}
          </a>
          <button type="button" id="stop" class="small">
            {t.stop}
          </button>
        </div>
      </div>
    </main>
    <Composer />
    <p id="approvals-news" class="unseen" role="status" />
    <ApprovalsPanel />
    <SitesPanel />
  </Shell>
);

const Header = () => (
  <header>
    <img src="/icon.svg" alt="" width="28" height="28" />
    <h1 id="name">Pinch</h1>
    <span id="model" class="badge" />
    <ul id="channels" aria-label={t.channels} />
    <button type="button" id="open-approvals" class="small" aria-haspopup="dialog">
      {`${texts.nav.approvals} `}
      <span id="approvals-count" class="count" />
    </button>
    <details id="session">
      <summary aria-label={t.more}>⋯</summary>
      <div>
        <button type="button" id="open-sites" class="small" aria-haspopup="dialog">
          {t.sites}
        </button>
        <button type="button" id="logout" class="small">
          {texts.settings.logOut}
        </button>
        <button type="button" id="logout-all" class="small">
          {texts.settings.logOutAll}
        </button>
      </div>
    </details>
  </header>
);

const Empty = () => (
  <section id="empty" aria-label={t.examples}>
    <img src="/icon.svg" alt="" width="56" height="56" />
    <h2>{t.emptyTitle}</h2>
    <p>{t.emptyText}</p>
    <div id="examples">
      {t.exampleTexts.map((text) => (
        <button type="button">{text}</button>
      ))}
    </div>
  </section>
);

const Icon = ({ line, width }: { line: string; width: string }) => (
  <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
    <path
      d={line}
      fill="none"
      stroke="currentColor"
      stroke-width={width}
      stroke-linecap="round"
      stroke-linejoin="round"
    />
  </svg>
);

const Composer = () => (
  <section id="bottom" aria-label={t.compose}>
    <button type="button" id="jump" hidden>
      {t.newMessages}
    </button>
    <form id="composer">
      <ul id="files" aria-label={t.files} aria-live="polite" />
      <button type="button" id="attach" aria-label={t.attach}>
        <Icon
          line="m20 11-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 4.800 4.800L9.500 17a1.700 1.700 0 0 1-2.400-2.400L14.500 7"
          width="1.8"
        />
      </button>
      <input type="file" id="file" multiple hidden aria-label={t.attach} />
      <label class="unseen" for="text">
        {t.message}
      </label>
      <textarea id="text" rows={1} placeholder={t.placeholder} autocomplete="off" enterkeyhint="send" />
      <button type="submit" id="send" aria-label={t.send} disabled>
        <Icon line="M12 19V6m0 0-6 6m6-6 6 6" width="2.2" />
      </button>
    </form>
    <p id="hint">{t.hint}</p>
  </section>
);

const PanelHead = ({ id, title }: { id: string; title: string }) => (
  <div class="panel-head">
    <h2 id={id}>{title}</h2>
    <button type="button" class="small close">
      {t.close}
    </button>
  </div>
);

const ApprovalsPanel = () => (
  <dialog id="approvals" class="panel" aria-labelledby="approvals-title">
    <PanelHead id="approvals-title" title={texts.nav.approvals} />
    <p id="approvals-problem" class="problem" role="alert" />
    <p id="approvals-none" class="quiet">
      {texts.approvals.none}
    </p>
    <div id="approvals-open" />
    <h3>{texts.approvals.decided}</h3>
    <ul id="approvals-decided" />
  </dialog>
);

const SitesPanel = () => (
  <dialog id="sites" class="panel" aria-labelledby="sites-title">
    <PanelHead id="sites-title" title={t.sites} />
    <p class="quiet">{t.sitesText}</p>
    <form id="allow">
      <label>
        {`${texts.groups.allow} `}
        <input
          id="allow-host"
          list="presets"
          maxlength={2000}
          placeholder="example.com"
          autocapitalize="none"
          autocomplete="off"
          spellcheck={false}
          required
        />
      </label>
      <label>
        {`${t.allowFor} `}
        <select id="allow-group" />
      </label>
      <button type="submit" class="small">
        {texts.groups.allow}
      </button>
      <datalist id="presets" />
    </form>
    <p id="allow-hint" class="quiet" />
    <p id="sites-said" role="alert" tabindex={-1} />
    <div id="sites-groups" />
  </dialog>
);

/** Where a browser lands that nobody has signed in. An app on a home screen has no address bar: it takes the link in a field. */
export const LoginPage = () => (
  <Document title={`${texts.login.title} · Pinch`} styles={['base', 'frame']} script="login" bodyClass="login">
    <main>
      <img src="/icon.svg" alt="" width="48" height="48" />
      <h1>{texts.login.heading}</h1>
      <p>{texts.login.why}</p>
      <pre>
        <code>npm run -s pinch -- status</code>
      </pre>
      <p>{texts.login.how}</p>
      <form id="sign-in">
        <label for="link">{texts.login.field}</label>
        <input id="link" type="password" autocomplete="off" required />
        <button type="submit" class="small">
          {texts.login.open}
        </button>
      </form>
      <p id="problem" role="alert" />
    </main>
  </Document>
);
