/** Where the token is asked for that a browser can't send as a header. */
import { type Html, html } from "./html.ts";

/** @param fault why the last try failed */
export const signInMain = (fault: string | null): Html =>
  html`<section class="card sign-in" aria-labelledby="sign-in">
<h1 id="sign-in">Sign in</h1>
${fault === null ? "" : html`<p role="alert" class="fault">${fault}</p>`}
<form method="post" action="/session">
<label for="token">The token of this instance (OBSERVER_STATUS_TOKEN)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
</form>
<p class="quiet note">Programs send it as <code>Authorization: Bearer …</code> instead.</p>
</section>`;
