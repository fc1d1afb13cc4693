<?php
/**
 * For PHP's own server: files and folders are what they are, and every other address is WordPress' to answer.
 */

declare(strict_types=1);

$root  = $_SERVER['DOCUMENT_ROOT'];
$asked = rtrim( $root . rawurldecode( (string) parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH ) ), '/' );
if ( is_file( $asked ) || is_file( "$asked/index.php" ) ) {
	return false;
}
$_SERVER['SCRIPT_NAME']     = '/index.php';
$_SERVER['PHP_SELF']        = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = "$root/index.php";
chdir( $root );
require "$root/index.php";
