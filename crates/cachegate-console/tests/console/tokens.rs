//! Tokens, from the list to the end of one.

use http::{StatusCode, header};

use crate::support::Site;

const DEVICE: &str = "/acme/settings?editview=device-tokens";

#[test]
fn a_device_token_is_made_shown_once_and_revoked() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        assert!(owner.get("/").await.text.contains("/acme/settings?editview=device-tokens"));
        assert!(owner.get(DEVICE).await.text.contains("There is none."));
        let form = owner.get(&format!("{DEVICE}&new=normal")).await;
        let once = form.between("name=\"once\" value=\"", "\"").to_owned();
        let fields =
            [("new", "normal"), ("act", "create"), ("description", "Submarine #137"), ("once", &once)];
        let made = owner.post(DEVICE, &fields).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        assert_eq!(made.header(header::CACHE_CONTROL), "no-store");
        let token = made.between("class=\"secret\" readonly value=\"", "\"").to_owned();
        assert!(token.starts_with("cg1_"), "a device token is a JWT behind the brand's prefix");
        let id = made.between("<dt>Id</dt><dd><code>", "<").to_owned();

        let again = owner.post(DEVICE, &fields).await;
        assert_eq!(again.status, StatusCode::SEE_OTHER, "a form that is sent twice is done once");
        assert!(!again.text.contains(&token) && !again.header(header::LOCATION).contains(&token));
        let list = owner.get(DEVICE).await;
        assert!(
            list.text.contains("Submarine #137") && list.text.contains(&id) && list.text.contains("normal")
        );
        assert!(!list.text.contains(&token));

        let page = owner.get(&format!("{DEVICE}&token={id}")).await;
        assert!(!page.text.contains(&token) && page.text.contains("popovertarget=\"revoke\""));
        let revoked = owner.post(DEVICE, &[("act", "revoke"), ("token", &id), ("reason", "sunk")]).await;
        assert_eq!(revoked.status, StatusCode::SEE_OTHER);
        assert!(owner.get(DEVICE).await.text.contains("There is none."), "ended ones are left out");
        let all = owner.get(&format!("{DEVICE}&show=all")).await;
        assert!(all.text.contains("sunk") && all.text.contains("Submarine #137"));
    });
}
