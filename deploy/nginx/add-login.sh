#!/bin/sh
# Gives somebody a login: add-login.sh FOLDER operator|viewer NAME, the password on standard input. Run it again to change a password.
# An operator's login also opens what viewers see; the files hold salted hashes (SHA-512), never a password.
set -eu
[ $# -eq 3 ] || { echo "add-login.sh FOLDER operator|viewer NAME  (the password on standard input)" >&2; exit 2; }
folder=$1 role=$2 name=$3
case $role in operator | viewer) ;; *) echo "a role is operator or viewer, not $role" >&2; exit 2 ;; esac
case $name in "" | *[!A-Za-z0-9._@-]*) echo "a name has letters, digits and . _ @ -" >&2; exit 2 ;; esac
command -v openssl > /dev/null || { echo "openssl is missing: apt-get install openssl" >&2; exit 1; }

IFS= read -r password
[ ${#password} -ge 12 ] || { echo "a password has at least 12 characters" >&2; exit 2; }
line="$name:$(printf '%s\n' "$password" | openssl passwd -6 -stdin)"

umask 027
mkdir -p "$folder"
for file in operators everyone; do
  touch "$folder/$file"
  # Taken out of both first: somebody who was an operator and becomes a viewer is no operator any more.
  grep -v "^$name:" "$folder/$file" > "$folder/.$file.new" || true
  if [ "$file" = everyone ] || [ "$role" = operator ]; then echo "$line" >> "$folder/.$file.new"; fi
  mv "$folder/.$file.new" "$folder/$file"
done
