/** What is shown to those who have not come in. */
export const SignedOut = ({ why }: { readonly why: string }) => (
  <main class="signed-out">
    <h1>synthesis</h1>
    <p role="status">{why}</p>
    <p>
      To come in, run <code>synthesis open</code> on the machine of the server. It opens this page with a link that
      works once, within a minute.
    </p>
  </main>
);
