// Loaded into a daemon before its own code (`--import`): WhatsApp's file server is the fake one, named in FAKE_WHATSAPP_MEDIA as
// `127.0.0.1:<port>`. Its authority is trusted by NODE_EXTRA_CA_CERTS.
const { fetch } = globalThis;
const host = process.env.FAKE_WHATSAPP_MEDIA;

if (host)
  globalThis.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    if (url.hostname === 'mmg.whatsapp.net') url.host = host;
    return url.host === host ? fetch(url, init) : fetch(input, init);
  };
