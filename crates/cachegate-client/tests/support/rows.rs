//! Files that every reader reads alike: the rows of the comparison on which all agree.

/// For the host `h`, each holds the login `l` and the password `p`.
pub(crate) const AGREED: &[&str] = &[
    "machine h login l password p\n",
    "machine h\nlogin l\npassword p\n",
    "machine h\n\tlogin l\n\tpassword p\n",
    "machine\th\tlogin\tl\tpassword\tp\n",
    "machine h login l password p\r\n",
    "machine h\r\n  login l\r\n  password p\r\n",
    "machine h login l password p",
    "machine h login l password p  \t \n",
    "\n\n  machine h login l password p\n\n",
    "machine a login x password y\nmachine h login l password p\nmachine b login z password w\n",
    "machine a login x password y machine h login l password p\n",
    "machine h password p login l\n",
    "machine h login l account x password p\n",
    "machine h login l password p\ndefault login d password e\n",
    "# a comment\nmachine h login l password p\n",
    "#\nmachine h login l password p\n",
    "macdef init\nlogin wrong\npassword wrong\n\nmachine h login l password p\n",
    "machine a login x password y\nmacdef init\nmachine h login wrong password wrong\n\nmachine h login l password p\n",
    "machine a login x password y\r\nmacdef init\r\nmachine h\r\n\r\nmachine h login l password p\r\n",
    "default login l password p\n",
];

/// Passwords that every reader reads alike where they stand without quotes.
pub(crate) const PASSWORDS: &[&str] = &["p#q", "'p'", "+/=%~!$&*()", "p:q", "a.b_c-d", "p\"q"];
